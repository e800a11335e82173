"""What a job is, the states it can be in, and how an attempt at it can end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fedproof.errors import FedproofError
from fedproof.jobs.failures import JobCancelled, PoisonedJob, kept_failure


class State(StrEnum):
    """Where a job stands. Queued and running ones are unfinished."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    KILLED = "killed"  # the proving process died
    ORPHANED = "orphaned"  # the process that had the job is gone
    FAULT = "fault"  # another passing fault
    FAILED = "failed"  # trying again would not help
    RELEASED = "released"  # given back: interrupted, or the engine was stopped


#: How often a job may end in such a way before it counts as poisoned. A person who interrupts a command by
#: force also makes an orphan: those are allowed more of.
LIMITS: dict[Outcome, int] = {Outcome.KILLED: 3, Outcome.FAULT: 5, Outcome.ORPHANED: 10}

#: Seconds before the second attempt after a passing fault; doubled for each that follows.
BACKOFF_S, BACKOFF_MOST_S = 0.5, 60.0


def backoff_s(failures: int) -> float:
    """Seconds to wait after the ``failures``-th passing fault of a job."""
    return float(min(BACKOFF_S * 2 ** (failures - 1), BACKOFF_MOST_S))


@dataclass(frozen=True)
class Work:
    """What is to be proven, all but the values: which circuit, with which SRS, by which toolchain."""

    circuit: str
    circuit_key: str
    srs_digest: str
    toolchain: str
    folder: Path
    srs: Path
    expected_s: float = 0.0


@dataclass(frozen=True)
class Job:
    """One row of the queue. Times are seconds since 1970, in UTC."""

    key: str
    work: Work
    state: State
    submitted: float
    changed: float
    not_before: float
    attempts: int
    cancelling: bool
    owner: str | None
    backend: str | None
    started: float | None
    cause: str | None
    message: str | None
    hint: str | None

    @property
    def failure(self) -> FedproofError:
        """Why a job that ended has no proof."""
        if self.state is State.CANCELLED:
            return JobCancelled(
                f"job {self.key[:12]} of {self.work.circuit} was cancelled",
                hint=f"fedproof jobs retry {self.key[:12]}",
            )
        return kept_failure(self.cause or "TerminalError", self.message or "no cause is known", self.hint)

    @property
    def poisoned(self) -> bool:
        """Whether it is only tried again when a person says so."""
        return self.state is State.FAILED and self.cause == PoisonedJob.__name__


@dataclass(frozen=True)
class Claim:
    """The right to work on a job: attempt ``number`` of it, by ``owner``."""

    job: Job
    number: int
    owner: str

    @property
    def key(self) -> str:
        """The job's key."""
        return self.job.key


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job. ``outcome`` is None while it goes on."""

    number: int
    owner: str
    backend: str
    started: float
    ended: float | None
    outcome: Outcome | None
    cause: str | None
    message: str | None
    witness_s: float | None
    prove_s: float | None
    peak_bytes: int | None
