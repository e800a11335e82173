"""Proves what it is told through a queue: a process for the tests to kill.

Arguments: a JSON file; what to be, ``caller``, ``background`` or ``engine``; and when to kill itself,
``submitted``, ``claimed``, ``written``, ``finished`` or ``never``. Each proof is a line of the ledger.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedproof.jobs import DurableProver, Engine, JobStore, State
from fedproof.provers import CpuProver
from fedproof.provers.base import ProofRun


class Ledger(CpuProver):
    """Notes every proof that it makes, and says when it begins."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def prove(self, *given: Any) -> ProofRun:
        print("proving", flush=True)
        run = super().prove(*given)
        with self.path.open("a") as ledger:
            ledger.write(f"{os.getpid()} {run.proof.hex()}\n")
        return run


def dying(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, after which there is no more."""

    def once(*given: Any, **named: Any) -> Any:
        made = call(*given, **named)
        if made is not None and getattr(made, "state", None) is not State.DONE:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    return once


def main(told_at: str, role: str, moment: str) -> None:
    told = json.loads(Path(told_at).read_text())
    store = JobStore(Path(told["jobs"]))
    folder, srs = Path(told["folder"]), Path(told["srs"])
    values = [[[int(v) for v in slot] for slot in slots] for slots in told["values"]]
    place: Any = {"submitted": (store, "submit"), "claimed": (store, "claim")}.get(moment)
    place = {"written": (store.results, "keep"), "finished": (store, "finish")}.get(moment, place)
    if place is not None:
        setattr(*place, dying(getattr(*place)))
    with Ledger(Path(told["ledger"])) as inner:
        if role == "engine":
            with Engine(inner, store, threads=1) as engine:
                engine.drain()
        else:
            with DurableProver(inner, store) as prover:
                if role == "caller":
                    runs = [prover.prove(folder, srs, slots) for slots in values]
                else:
                    runs = [h.result() for h in [prover.submit(folder, srs, slots) for slots in values]]
            print("proofs", *[run.proof.hex() for run in runs], flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:4])
