"""Working on the queue: threads that take what is queued, whoever asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fedproof.errors import FedproofError
from fedproof.jobs.runner import Runner
from fedproof.jobs.states import Claim, State
from fedproof.jobs.store import JobStore
from fedproof.provers.base import ProofRun, Prover

#: Seconds between two looks at an empty queue, which other processes fill too.
_LOOK_S = 0.5

#: ``on(claim, run, error)``: an attempt ended.
Ended = Callable[[Claim, ProofRun | None, Exception | None], None]


def _nothing(_claim: Claim, _run: ProofRun | None, _error: Exception | None) -> None:
    pass


class Engine:
    """Proves queued jobs of the prover's toolchain with ``inner``, ``threads`` at a time (its own number).

    A job is somebody's, not the engine's: what fails is kept with the job, and the engine goes on.
    """

    def __init__(
        self,
        inner: Prover,
        store: JobStore,
        *,
        threads: int | None = None,
        on_end: Ended = _nothing,
        talkative: bool = True,
    ) -> None:
        self.inner = inner
        self.store = store
        self.on_end = on_end
        self._runner = Runner(inner, store, talkative=talkative)
        self._wake = threading.Condition()
        self._started = False
        self._draining = False
        self._stopping = False
        self._broken: FedproofError | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"fedproof-jobs-{i}", daemon=True)
            for i in range(threads or inner.parallel)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            # Not waited for: an interrupt ends the workers as well.
            self.inner.close()
        self.join()

    @property
    def threads(self) -> int:
        """How many jobs it works on at a time."""
        return len(self._threads)

    def start(self) -> None:
        """Begin. Returns at once."""
        self._started = True
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look at the queue now: something was added."""
        with self._wake:
            self._wake.notify_all()

    def drain(self) -> None:
        """Return when nothing that this engine can prove is queued or running; jobs of others included.

        Raises what kept the engine from going on: a queue that cannot be read or written.
        """
        self.drain_quietly()
        self.check()

    def drain_quietly(self) -> None:
        """As :meth:`drain`; what kept it from going on is raised by :meth:`check`."""
        self._draining = True
        if not self._started:
            self.start()
        self.wake()
        self.join()

    def check(self) -> None:
        """Raise what kept the engine from going on, if anything did."""
        if self._broken is not None:
            raise self._broken

    def stop(self) -> None:
        """Take no more jobs. Those that run go on, or are queued again where ``inner`` is closed."""
        self._stopping = True
        self._runner.close()
        self.wake()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads."""
        for thread in self._threads if self._started else []:
            thread.join(timeout)

    def _work(self) -> None:
        try:
            while not self._stopping:
                claim = self._runner.claim()
                if claim is not None:
                    self._prove(claim)
                elif self._draining and not self._unfinished():
                    self.wake()
                    return
                else:
                    with self._wake:
                        self._wake.wait(_LOOK_S)
        except FedproofError as error:
            self._broken = error
            self._stopping = True
            self.wake()

    def _prove(self, claim: Claim) -> None:
        run: ProofRun | None = None
        failure: Exception | None = None
        try:
            run = self._runner.run(claim)
        # Kept with the job, and raised to whoever asks for it.
        except Exception as error:  # noqa: BLE001
            failure = error
        self.on_end(claim, run, failure)

    def _unfinished(self) -> bool:
        mine = (State.QUEUED, State.RUNNING)
        return any(j.work.toolchain == self.inner.toolchain for j in self.store.jobs(mine))
