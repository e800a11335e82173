"""What can go wrong with a job or with the queue, and a kept failure raised again."""

from __future__ import annotations

from fedproof.errors import CallerError, FedproofError, InvalidProof, RetryableError, TerminalError
from fedproof.provers.base import BeyondBudget, ProverKilled, WitnessRejected


class JobsDamaged(TerminalError):
    """The database of jobs is not one, or is damaged."""


class JobsNewer(TerminalError):
    """The database of jobs was written by a newer Fedproof."""


class PoisonedJob(TerminalError):
    """A job that failed too often by what may pass: it is not tried again until a person says so."""


class JobCancelled(TerminalError):
    """A job that somebody cancelled while this call waited for it."""


_KNOWN: dict[str, type[FedproofError]] = {
    c.__name__: c
    for c in (
        BeyondBudget,
        CallerError,
        InvalidProof,
        JobCancelled,
        PoisonedJob,
        ProverKilled,
        RetryableError,
        TerminalError,
        WitnessRejected,
    )
}


def kept_failure(cause: str, message: str, hint: str | None) -> FedproofError:
    """Return the failure that a job was kept with; of a class that is not known here, a terminal one."""
    return _KNOWN.get(cause, TerminalError)(message, hint=hint)


def cause_of(error: BaseException) -> str:
    """Return the name under which a failure is kept and counted: the nearest class that is known here."""
    return next((c.__name__ for c in type(error).__mro__ if c.__name__ in _KNOWN), type(error).__name__)
