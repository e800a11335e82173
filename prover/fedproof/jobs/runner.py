"""Working on claimed jobs with one prover: every claim is ended, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fedproof.errors import FedproofError
from fedproof.jobs.log import log_of
from fedproof.jobs.owners import LEASE_S, new_owner
from fedproof.jobs.states import Claim, State
from fedproof.jobs.store import JobStore
from fedproof.provers.base import ProofRun, Prover

_Slots = Sequence[Sequence[int]]


class Runner:
    """Claims jobs of ``store`` in its own name and proves them with ``inner``; for any number of threads.

    ``talkative`` logs each start and end as info, else as debug.
    """

    def __init__(self, inner: Prover, store: JobStore, *, talkative: bool = False) -> None:
        self.inner = inner
        self.store = store
        self.owner = new_owner()
        self._level = "info" if talkative else "debug"
        #: Claims whose end could not be written: by this process, which lives, so that nobody takes them.
        self._unended: list[Claim] = []
        self._stopped = threading.Event()
        self._heart: threading.Thread | None = None
        self._lock = threading.Lock()

    def claim(self, key: str | None = None) -> Claim | None:
        """Take the job of ``key``, or the oldest of the toolchain; None if there is none, or when closed."""
        if self._stopped.is_set():
            return None
        self._end_unended()
        claim = self.store.claim(self.owner, self.inner.name, toolchain=self.inner.toolchain, key=key)
        if claim is not None:
            self._beat()
        return claim

    def run(self, claim: Claim, slots: _Slots | None = None) -> ProofRun:
        """Prove a claimed job, from ``slots`` or its kept values, and keep the proof.

        Raises what the prover or the store raised, after the job was queued again or failed by it.
        """
        log = log_of(claim, self.inner.name)
        getattr(log, self._level)("job started")
        work = claim.job.work
        try:
            if slots is None:
                slots = self.store.values.load(claim.key, work)
            run = self.inner.prove(work.folder, work.srs, slots)
            kept = self.store.finish(claim, run)
        except Exception as error:
            self._failed(claim, error)
            raise
        except BaseException:
            # An interrupt: of this process, not of the job.
            log.warning("job interrupted")
            self._end(claim, None)
            raise
        getattr(log, self._level)(
            "job done",
            witness_s=round(run.witness_s, 3),
            prove_s=round(run.prove_s, 3),
            waited_s=round(run.waited_s, 3),
            peak_mib=run.peak_bytes >> 20,
        )
        return kept

    def close(self) -> None:
        """End the signs of life. Claims that still run are those of a dead owner after a while."""
        self._stopped.set()
        self._end_unended()

    def _failed(self, claim: Claim, error: Exception) -> None:
        log = log_of(claim, self.inner.name)
        if self._stopped.is_set():
            # Its workers were ended under it.
            self._end(claim, None)
            return
        again = self._end(claim, error)
        message = error.message if isinstance(error, FedproofError) else str(error)
        # Who asked in person is told by the error itself, unless it is not raised.
        level = "warning" if again or self._level == "info" else "debug"
        getattr(log, level)("job attempt failed", cause=type(error).__name__, message=message, again=again)

    def _end(self, claim: Claim, error: Exception | None) -> bool:
        """End a claim without a proof; return whether the job is queued again."""
        try:
            if error is None:
                self.store.release(claim)
                return True
            return self.store.fail(claim, error).state is State.QUEUED
        except FedproofError as refused:
            self._unended.append(claim)
            log_of(claim, self.inner.name).error("cannot write the queue", message=refused.message)
            return True

    def _end_unended(self) -> None:
        while self._unended:
            self.store.release(self._unended[-1])
            self._unended.pop()

    def _beat(self) -> None:
        with self._lock:
            if self._heart is None:
                self._heart = threading.Thread(target=self._live, name="fedproof-jobs-heart", daemon=True)
                self._heart.start()

    def _live(self) -> None:
        while not self._stopped.wait(LEASE_S / 4):
            try:
                self.store.renew(self.owner)
            except FedproofError:
                # The next one may be written. Leases are for other hosts only.
                continue
