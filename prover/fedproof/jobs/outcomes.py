"""What the end of an attempt makes of a job. Everything here is part of a transaction of the caller's."""

from __future__ import annotations

import sqlite3

from fedproof.errors import FedproofError, RetryableError
from fedproof.jobs.failures import PoisonedJob, cause_of
from fedproof.jobs.states import LIMITS, Claim, Outcome, State, backoff_s
from fedproof.provers.base import ProofRun, ProverKilled


def judged(error: BaseException) -> Outcome:
    """Return how an attempt ended that raised ``error``."""
    if isinstance(error, ProverKilled):
        return Outcome.KILLED
    return Outcome.FAULT if isinstance(error, RetryableError) else Outcome.FAILED


def ended(
    on: sqlite3.Connection,
    claim: Claim,
    outcome: Outcome,
    now: float,
    *,
    run: ProofRun | None = None,
    error: BaseException | None = None,
) -> None:
    """Note how the attempt of ``claim`` ended. What was noted first stays, except that a proof was made."""
    on.execute(
        "UPDATE attempts SET ended = ?, outcome = ?, cause = ?, message = ?, witness_s = ?, prove_s = ?,"
        " peak_bytes = ? WHERE job = ? AND number = ? AND owner = ? AND (outcome IS NULL OR ? = 'done')",
        (
            now,
            outcome,
            cause_of(error) if error else None,
            _message(error) if error else None,
            run.witness_s if run else None,
            run.prove_s if run else None,
            run.peak_bytes if run else None,
            claim.key,
            claim.number,
            claim.owner,
            outcome,
        ),
    )


def undone(
    on: sqlite3.Connection, claim: Claim, outcome: Outcome, now: float, error: BaseException | None = None
) -> State:
    """Queue a job again whose attempt ended without a proof, or end it; return its new state."""
    key = claim.key
    cancelling, counted_from = on.execute(
        "SELECT cancelling, counted_from FROM jobs WHERE key = ?", (key,)
    ).fetchone()
    if cancelling:
        settled(on, key, State.CANCELLED, now)
        return State.CANCELLED
    if outcome is Outcome.FAILED:
        settled(on, key, State.FAILED, now, error)
        return State.FAILED
    failures = on.execute(
        "SELECT count(*) FROM attempts WHERE job = ? AND number > ? AND outcome = ?",
        (key, counted_from, outcome),
    ).fetchone()[0]
    if failures >= LIMITS.get(outcome, failures + 1):
        poisoned = PoisonedJob(
            f"{_message(error)} - {failures} times, so it is not tried again",
            hint=f"remove the cause, then: fedproof jobs retry {key[:12]}",
        )
        settled(on, key, State.FAILED, now, poisoned)
        return State.FAILED
    passing = outcome in (Outcome.KILLED, Outcome.FAULT)
    _put(on, key, State.QUEUED, now, error, not_before=now + backoff_s(failures) if passing else 0.0)
    return State.QUEUED


def requeued(on: sqlite3.Connection, key: str, now: float) -> None:
    """Queue a job again because somebody asked; what it failed by before does not count any more."""
    _put(on, key, State.QUEUED, now)
    on.execute("UPDATE jobs SET counted_from = attempts WHERE key = ?", (key,))


def settled(
    on: sqlite3.Connection, key: str, state: State, now: float, error: BaseException | None = None
) -> None:
    """End a job."""
    _put(on, key, state, now, error)


def _put(
    on: sqlite3.Connection,
    key: str,
    state: State,
    now: float,
    error: BaseException | None = None,
    *,
    not_before: float = 0.0,
) -> None:
    on.execute(
        "UPDATE jobs SET state = ?, changed = ?, not_before = ?, owner = NULL, lease = NULL, cancelling = 0,"
        " cause = ?, message = ?, hint = ? WHERE key = ?",
        (
            state,
            now,
            not_before,
            cause_of(error) if error else None,
            _message(error) if error else None,
            getattr(error, "hint", None),
            key,
        ),
    )


def _message(error: BaseException | None) -> str:
    if isinstance(error, FedproofError):
        return error.message
    return f"{type(error).__name__}: {error}"
