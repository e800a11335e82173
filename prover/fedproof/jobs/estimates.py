"""How long proofs will take: as long as those of the same circuit did, or as its compilation measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fedproof.jobs.states import Job, State, Work
from fedproof.jobs.store import JobStore

#: Newest proofs of a circuit that count: a machine's load changes.
_NEWEST = 9


@dataclass(frozen=True)
class Outlook:
    """The jobs of a queue by state, and the seconds until those unfinished are proven. 0 where nothing is
    known.
    """

    counts: dict[State, int]
    seconds_left: float


class Estimates:
    """Estimates from what ``store`` has seen."""

    def __init__(self, store: JobStore) -> None:
        self.store = store

    def seconds(self, work: Work) -> float:
        """Return the seconds of a proof once it is worked on: witness, proof. 0 if nothing is known."""
        rows = self.store.database.rows(
            "SELECT attempts.witness_s + attempts.prove_s AS seconds FROM attempts"
            " JOIN jobs ON jobs.key = attempts.job"
            " WHERE jobs.circuit_key = ? AND jobs.toolchain = ? AND attempts.outcome = 'done'"
            " ORDER BY attempts.ended DESC LIMIT ?",
            (work.circuit_key, work.toolchain, _NEWEST),
        )
        return median(r["seconds"] for r in rows) if rows else work.expected_s

    def left(self, job: Job, seconds: float | None = None, now: float | None = None) -> float:
        """Return the seconds a job still takes once it is worked on, 0 for one that has ended."""
        if job.state not in (State.QUEUED, State.RUNNING):
            return 0.0
        whole = self.seconds(job.work) if seconds is None else seconds
        if job.state is State.QUEUED or job.started is None:
            return whole
        return max(0.0, whole - ((time.time() if now is None else now) - job.started))

    def outlook(self, jobs: Sequence[Job], at_once: int) -> Outlook:
        """Return how it stands with ``jobs``, of which ``at_once`` are worked on at a time."""
        counts = Counter(job.state for job in jobs)
        unfinished = [j for j in jobs if j.state in (State.QUEUED, State.RUNNING)]
        by_circuit = {(j.work.circuit_key, j.work.toolchain): j.work for j in unfinished}
        seconds = {key: self.seconds(work) for key, work in by_circuit.items()}
        left = [self.left(j, seconds[j.work.circuit_key, j.work.toolchain]) for j in unfinished]
        # No shorter than the longest, however many work on them.
        total = max(sum(left) / max(1, at_once), max(left, default=0.0))
        return Outlook({state: counts[state] for state in State}, total)
