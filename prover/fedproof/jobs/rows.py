"""Rows of the database as jobs and attempts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fedproof.jobs.states import Attempt, Job, Outcome, State, Work

#: Jobs with what their last attempt says; ``WHERE`` and ``ORDER`` follow.
JOBS = """
SELECT jobs.*, last.backend, last.started FROM jobs
LEFT JOIN attempts AS last ON last.job = jobs.key AND last.number = jobs.attempts
"""


def job_of(row: sqlite3.Row) -> Job:
    """Return a row of :data:`JOBS` as a job."""
    work = Work(
        row["circuit"],
        row["circuit_key"],
        row["srs_digest"],
        row["toolchain"],
        Path(row["folder"]),
        Path(row["srs"]),
        row["expected_s"],
    )
    return Job(
        row["key"],
        work,
        State(row["state"]),
        row["submitted"],
        row["changed"],
        row["not_before"],
        row["attempts"],
        bool(row["cancelling"]),
        row["owner"],
        row["backend"],
        row["started"],
        row["cause"],
        row["message"],
        row["hint"],
    )


def attempt_of(row: sqlite3.Row) -> Attempt:
    """Return a row of ``attempts``."""
    return Attempt(
        row["number"],
        row["owner"],
        row["backend"],
        row["started"],
        row["ended"],
        Outcome(row["outcome"]) if row["outcome"] else None,
        row["cause"],
        row["message"],
        row["witness_s"],
        row["prove_s"],
        row["peak_bytes"],
    )
