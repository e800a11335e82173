"""A prover that goes through the queue: equal content is proven once, and never again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from fedproof.errors import CallerError, FedproofError, RetryableError
from fedproof.jobs.describe import describe
from fedproof.jobs.engine import Engine
from fedproof.jobs.runner import Runner
from fedproof.jobs.states import Job, State
from fedproof.jobs.store import JobStore
from fedproof.provers.base import Closing, ProofRun, Prover

_Slots = Sequence[Sequence[int]]
#: Seconds between two looks at a job that somebody else works on: the first, and the most.
_LOOK_S, _LOOK_MOST_S = 0.02, 0.5


class JobHandle:
    """A proof that was asked for."""

    def __init__(self, key: str, prover: DurableProver) -> None:
        self.key = key
        self._prover = prover

    @property
    def job(self) -> Job:
        """The job as it is now."""
        return self._prover.store.get(self.key)

    def done(self) -> bool:
        """Whether it has ended: with a proof, or without."""
        return self.job.state not in (State.QUEUED, State.RUNNING)

    def result(self, timeout: float | None = None) -> ProofRun:
        """Wait for the proof, ``timeout`` seconds at most.

        Raises :class:`TimeoutError`; :class:`JobCancelled`; what the job failed by; and :class:`CallerError`
        when the prover was closed and nobody works on the job.
        """
        return self._prover.wait(self.key, timeout)

    def cancel(self) -> None:
        """Give it up; see :meth:`JobStore.cancel`."""
        self._prover.store.cancel(self.key)


class DurableProver(Closing):
    """Proves with ``inner``, through the queue ``store``; a prover like any.

    Each proof is a job: what was proven is returned as it was, two that want the same at once get one proof,
    and what a killed process left is done by the next that asks for it, or by ``fedproof jobs run``. Passing
    faults are tried again within limits. Proofs of folders without a manifest (while a circuit is compiled)
    are not jobs. Closing it closes ``inner``, not ``store``.
    """

    def __init__(self, inner: Prover, store: JobStore) -> None:
        self.inner = inner
        self.store = store
        self.name = inner.name
        self.toolchain = inner.toolchain
        self.parallel = inner.parallel
        self._runner = Runner(inner, store)
        self._engine: Engine | None = None

    def prove(self, folder: Path, srs: Path, slots: _Slots) -> ProofRun:
        """See :class:`fedproof.provers.base.Prover`.

        Raises moreover :class:`PoisonedJob` for one that failed too often, and :class:`JobCancelled`.
        """
        work = describe(folder, srs, self.toolchain)
        if work is None:
            return self.inner.prove(folder, srs, slots)
        job = self.store.submit(work, slots)
        pause, last = _LOOK_S, None
        while (run := self._outcome(job, last)) is None:
            claim = self._runner.claim(job.key)
            if claim is not None:
                try:
                    return self._runner.run(claim, slots)
                except RetryableError as error:
                    # Queued again, or failed by it: the next look tells.
                    last, pause = error, _LOOK_S
            else:
                time.sleep(pause)
                pause = min(2 * pause, _LOOK_MOST_S)
            job = self.store.get(job.key)
        return run

    def submit(self, folder: Path, srs: Path, slots: _Slots) -> JobHandle:
        """Ask for a proof in the background; work on it begins at once.

        Raises as :meth:`JobStore.submit` does, and :class:`CallerError` if ``folder`` is no compiled circuit.
        """
        work = describe(folder, srs, self.toolchain)
        if work is None:
            raise CallerError(f"{folder} is no compiled circuit", hint="it has no manifest.json")
        job = self.store.submit(work, slots)
        if self._engine is None:
            self._engine = Engine(self.inner, self.store, talkative=False)
            self._engine.start()
        self._engine.wake()
        return JobHandle(job.key, self)

    def wait(self, key: str, timeout: float | None = None) -> ProofRun:
        """Wait for a job that was submitted; see :meth:`JobHandle.result`."""
        ends = None if timeout is None else time.monotonic() + timeout
        pause = _LOOK_S
        while (run := self._outcome(self.store.get(key))) is None:
            if ends is not None and time.monotonic() >= ends:
                raise TimeoutError(f"job {key[:12]} has not ended in {timeout} s")
            if self._engine is not None:
                self._engine.check()
            elif self.store.take_back() or self.store.get(key).state is State.QUEUED:
                raise CallerError(
                    f"nobody works on job {key[:12]}: its prover was closed", hint="fedproof jobs run"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LOOK_MOST_S)
        return run

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """See :class:`fedproof.provers.base.Prover`."""
        return self.inner.verify(folder, srs, proof, instances)

    def close(self) -> None:
        """End the work in the background, and the inner prover. What was not finished stays queued."""
        if self._engine is not None:
            self._engine.stop()
        self._runner.close()
        self.inner.close()
        if self._engine is not None:
            self._engine.join()
            self._engine = None

    def _outcome(self, job: Job, last: FedproofError | None = None) -> ProofRun | None:
        """Return a job's proof, None while it is unfinished; raise why there is none."""
        if job.state in (State.FAILED, State.CANCELLED):
            raise job.failure from last
        if job.state is not State.DONE:
            return None
        run = self.store.results.load(job.key)
        if run is None:
            raise CallerError(f"the proof of job {job.key[:12]} was removed", hint="ask for it again")
        return run
