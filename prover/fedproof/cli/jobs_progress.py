"""Working on the queue in front of a person, or of a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fedproof.cli.logs import to_json
from fedproof.cli.output import console_on
from fedproof.jobs import Engine, JobStore, State
from fedproof.jobs.estimates import Estimates
from fedproof.provers import ProofRun, Prover

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from fedproof.jobs.states import Claim

#: Seconds between two looks at the queue for what is shown.
_LOOK_S = 0.5


def work(backend: Prover, store: JobStore, *, watch: bool) -> dict[str, Any]:
    """Work on the queue until it is empty, with ``watch`` for ever; return what was proven and what failed.

    On a terminal there is a bar for each running job, as long as it is expected to take, and one for all.
    """
    proven: list[str] = []
    failed: set[str] = set()
    lock = threading.Lock()

    def ended(claim: Claim, run: ProofRun | None, _error: Exception | None) -> None:
        state = store.get(claim.key).state
        with lock:
            if run is not None:
                proven.append(claim.key)
            elif state is State.FAILED:
                failed.add(claim.key)

    started = time.monotonic()
    with Engine(backend, store, on_end=ended) as engine, _bars(store, engine) as show:
        engine.start()
        while watch:
            show()
            engine.check()
            time.sleep(_LOOK_S)
        waiting = threading.Thread(target=engine.drain_quietly, daemon=True)
        waiting.start()
        while waiting.is_alive():
            show()
            waiting.join(_LOOK_S)
        engine.check()
    return {
        "prover": backend.name,
        "toolchain": backend.toolchain,
        "at_once": engine.threads,
        "proven": proven,
        "failed": sorted(failed),
        "seconds": round(time.monotonic() - started, 3),
    }


@contextmanager
def _bars(store: JobStore, engine: Engine) -> Iterator[Any]:
    if to_json() or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=console_on(sys.stderr)) as bars:
        yield _Shown(bars, store, engine).refresh


class _Shown:
    """The bars on a terminal."""

    def __init__(self, bars: Progress, store: JobStore, engine: Engine) -> None:
        self.bars = bars
        self.store = store
        self.engine = engine
        self.estimates = Estimates(store)
        self.known = {j.key for j in store.jobs((State.QUEUED, State.RUNNING))}
        self.all = bars.add_task("all jobs", total=len(self.known), left="")
        self.running: dict[str, TaskID] = {}

    def refresh(self) -> None:
        """Bring them to where the queue stands."""
        unfinished = self.store.jobs((State.QUEUED, State.RUNNING))
        self.known |= {j.key for j in unfinished}
        outlook = self.estimates.outlook(unfinished, self.engine.threads)
        running = {j.key: j for j in unfinished if j.state is State.RUNNING}
        for key in [k for k in self.running if k not in running]:
            self.bars.remove_task(self.running.pop(key))
        for key, job in running.items():
            seconds = self.estimates.seconds(job.work)
            if key not in self.running:
                title = f"{job.work.circuit} {key[:12]}"
                self.running[key] = self.bars.add_task(title, total=seconds or None, left="")
            left = self.estimates.left(job, seconds)
            # A bar that is full says "any moment now": it never goes beyond.
            self.bars.update(self.running[key], completed=seconds - left, left=_about(left))
        self.bars.update(
            self.all,
            total=len(self.known),
            completed=len(self.known) - len(unfinished),
            left=_about(outlook.seconds_left),
        )


def _about(seconds: float) -> str:
    return f"about {seconds:.0f} s left" if seconds >= 1 else ""
