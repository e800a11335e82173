"""The caller's side of the CPU backend: one worker process a task."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fedproof.errors import CallerError, TerminalError
from fedproof.provers.base import Closing, ProofRun, ProverKilled, WitnessRejected

_RAISED: dict[str, type[Exception]] = {
    "CallerError": CallerError,
    "WitnessRejected": WitnessRejected,
    "TerminalError": TerminalError,
}


#: A task that takes longer is taken for a hang: ezkl 23.0.5 never returns from proving a witness of zeros.
TIMEOUT_S = 3600.0


def run_worker(
    task: str,
    *,
    timeout_s: float = TIMEOUT_S,
    **arguments: Any,  # noqa: ANN401 - JSON values
) -> dict[str, Any]:
    """Run one task of :mod:`fedproof.provers.cpu.worker` in a process of its own; return its answer.

    Raises what the task raised, and :class:`ProverKilled` when the process died without an answer or
    took longer than ``timeout_s``.
    """
    with tempfile.TemporaryDirectory(prefix="fedproof-") as scratch:
        request, answer, log = (Path(scratch) / n for n in ("request.json", "answer.json", "log"))
        try:
            request.write_text(json.dumps({"task": task, "scratch": scratch, **arguments}))
        except OSError as e:
            raise TerminalError(f"cannot write to the temporary folder: {e.strerror or e}") from e
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fedproof.provers.cpu.worker", str(request), str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired as e:
                process.kill()
                process.wait()
                raise ProverKilled(f"the worker for {task!r} gave no answer in {timeout_s:.0f} s") from e
            except BaseException:
                process.kill()
                process.wait()
                raise
        if not answer.is_file():
            raise ProverKilled(f"the worker for {task!r} {_cause(code)}{_last_line(log)}", hint=_advice(code))
        result: dict[str, Any] = json.loads(answer.read_text())
    if "error" in result:
        raise _RAISED.get(result["error"], TerminalError)(result["message"])
    return result


def _cause(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code} and no answer"


def _advice(code: int) -> str:
    if code == -signal.SIGKILL:
        return "most likely out of memory: prove fewer at a time, or use a machine with more memory"
    return "run it again; if it repeats, the message above is the place to look"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f": {lines[-1][:300]}" if lines else ""


class CpuProver(Closing):
    """Proves with ezkl on this machine's cores, one worker process a proof."""

    name = "cpu"
    toolchain = f"ezkl {version('ezkl')}"
    parallel = os.cpu_count() or 1

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """See :class:`fedproof.provers.base.Prover`."""
        answer = run_worker(
            "prove", folder=str(folder), srs=str(srs), slots=[[str(int(v)) for v in s] for s in slots]
        )
        return ProofRun(
            bytes.fromhex(answer["proof"]),
            tuple(int(i) for i in answer["instances"]),
            answer["witness_s"],
            answer["prove_s"],
            answer["peak_bytes"],
        )

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """See :class:`fedproof.provers.base.Prover`."""
        answer = run_worker(
            "verify",
            folder=str(folder),
            srs=str(srs),
            proof=proof.hex(),
            instances=[str(i) for i in instances],
        )
        return bool(answer["valid"])
