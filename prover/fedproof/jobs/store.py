"""The queue: what becomes of a job, one transaction each. Any number of processes may work on it at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fedproof.errors import CallerError, TerminalError
from fedproof.jobs.content import Values, job_key, pack
from fedproof.jobs.database import Database
from fedproof.jobs.outcomes import ended, judged, requeued, settled, undone
from fedproof.jobs.owners import LEASE_S, Alive, owner_lives, shown
from fedproof.jobs.results import Results
from fedproof.jobs.rows import JOBS, attempt_of, job_of
from fedproof.jobs.states import Attempt, Claim, Job, Outcome, State, Work
from fedproof.provers.base import ProofRun, WitnessRejected

DATABASE = "jobs.sqlite"


class JobStore:
    """The jobs in ``folder``: a database, the values of unfinished jobs, the proofs of finished ones.

    Raises :class:`JobsDamaged`, :class:`JobsNewer`, and :class:`TerminalError` where the disk refuses, as
    every method does. ``clock`` and ``alive`` are for tests.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.time, alive: Alive = owner_lives
    ) -> None:
        self.folder = folder
        self.database = Database(folder / DATABASE)
        self.values = Values(folder / "values")
        self.results = Results(folder / "proofs")
        self.clock = clock
        self.alive = alive
        self.values.sweep({row["key"] for row in self.database.rows("SELECT key FROM jobs")})

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # -- asking for proofs --------------------------------------------------------------------------

    def submit(self, work: Work, slots: Sequence[Sequence[int]]) -> Job:
        """Ask for a proof; return its job, which is the one there is for equal content.

        A job that failed or was cancelled is queued anew, unless it is poisoned. One whose proof is kept is
        done, whatever the database knew of it.
        """
        content = pack(slots)
        key = job_key(work, content)
        proven = self.results.load(key) is not None
        if not proven:
            # Before its row: what is queued can be worked on by anybody.
            self.values.keep(key, content)
        else:
            # Whoever proved it may have died before it could say so.
            self.take_back()
        now = self.clock()
        with self.database.change() as on:
            job = self._find(on, key)
            if job is None:
                on.execute(
                    "INSERT INTO jobs (key, circuit, circuit_key, srs_digest, toolchain, folder, srs,"
                    " expected_s, state, submitted, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)",
                    (
                        key,
                        work.circuit,
                        work.circuit_key,
                        work.srs_digest,
                        work.toolchain,
                        str(work.folder),
                        str(work.srs),
                        work.expected_s,
                        now,
                        now,
                    ),
                )
            elif job.state in (State.FAILED, State.CANCELLED) and not job.poisoned:
                requeued(on, key, now)
            elif job.state is State.DONE and not proven and self.results.load(key) is None:
                # Its proof was lost: the file was removed or damaged.
                requeued(on, key, now)
            if proven and (job is None or job.state is not State.RUNNING):
                settled(on, key, State.DONE, now)
            elif not self.values.path(key).is_file():
                # Somebody who ended this very job has removed them meanwhile.
                self.values.keep(key, content)
            job = self._the(on, key)
        if job.state is State.DONE:
            self.values.forget(key)
        return job

    # -- working on them ----------------------------------------------------------------------------

    def claim(
        self, owner: str, backend: str, *, toolchain: str | None = None, key: str | None = None
    ) -> Claim | None:
        """Take the oldest queued job of ``toolchain``, or the one of ``key``; None if there is none to take.

        Jobs whose owner is gone are queued again first, and what turns out to be proven is done. Nobody else
        gets the job until the claim is ended by :meth:`finish`, :meth:`fail` or :meth:`release`, or its owner
        dies.
        """
        self.take_back()
        now = self.clock()
        wanted, value = ("key", key) if key is not None else ("toolchain", toolchain)
        with self.database.change() as on:
            while True:
                row = on.execute(
                    f"SELECT key FROM jobs WHERE state = 'queued' AND not_before <= ? AND {wanted} = ?"
                    " ORDER BY submitted, rowid LIMIT 1",
                    (now, value),
                ).fetchone()
                if row is None:
                    return None
                if self.results.load(row["key"]) is None:
                    break
                settled(on, row["key"], State.DONE, now)
                self.values.forget(row["key"])
            on.execute(
                "UPDATE jobs SET state = 'running', owner = ?, lease = ?, attempts = attempts + 1,"
                " changed = ? WHERE key = ?",
                (owner, now + LEASE_S, now, row["key"]),
            )
            number = self._the(on, row["key"]).attempts
            on.execute(
                "INSERT INTO attempts (job, number, owner, backend, started) VALUES (?, ?, ?, ?, ?)",
                (row["key"], number, owner, backend, now),
            )
            return Claim(self._the(on, row["key"]), number, owner)

    def finish(self, claim: Claim, run: ProofRun) -> ProofRun:
        """Keep the proof of a claimed job, which is done; return the one kept, which is another if the job
        was taken from a claimer that was believed dead.
        """
        kept = self.results.keep(claim.key, run)
        with self.database.change() as on:
            now = self.clock()
            ended(on, claim, Outcome.DONE, now, run=run)
            if self._holds(on, claim) or self._the(on, claim.key).state is not State.RUNNING:
                settled(on, claim.key, State.DONE, now)
                self.values.forget(claim.key)
        return kept

    def fail(self, claim: Claim, error: BaseException) -> Job:
        """End a claim by ``error``; return the job, which is queued again if another attempt may help."""
        with self.database.change() as on:
            now = self.clock()
            ended(on, claim, judged(error), now, error=error)
            if self._holds(on, claim):
                self._undone(on, claim, judged(error), now, error)
            return self._the(on, claim.key)

    def release(self, claim: Claim) -> None:
        """Give a claimed job back: the attempt was interrupted, which says nothing about the job."""
        with self.database.change() as on:
            now = self.clock()
            ended(on, claim, Outcome.RELEASED, now)
            if self._holds(on, claim):
                self._undone(on, claim, Outcome.RELEASED, now)

    def renew(self, owner: str) -> None:
        """Say that ``owner`` is at work, to those who cannot see its process."""
        with self.database.change() as on:
            on.execute(
                "UPDATE jobs SET lease = ? WHERE owner = ? AND state = 'running'",
                (self.clock() + LEASE_S, owner),
            )

    def take_back(self) -> list[Job]:
        """Take running jobs from owners that are gone; return them as they are now."""
        running = "SELECT key, owner, lease, attempts FROM jobs WHERE state = 'running'"
        if all(self._lives(row) for row in self.database.rows(running)):
            return []
        taken = []
        with self.database.change() as on:
            now = self.clock()
            for row in [r for r in on.execute(running).fetchall() if not self._lives(r)]:
                key = row["key"]
                claim = Claim(self._the(on, key), row["attempts"], row["owner"])
                run = self.results.load(key)
                if run is not None:
                    # It died between the proof and the row that says so.
                    ended(on, claim, Outcome.DONE, now, run=run)
                    settled(on, key, State.DONE, now)
                    self.values.forget(key)
                else:
                    gone = TerminalError(f"the process that worked on it is gone: {shown(row['owner'])}")
                    ended(on, claim, Outcome.ORPHANED, now, error=gone)
                    self._undone(on, claim, Outcome.ORPHANED, now, gone)
                taken.append(self._the(on, key))
        return taken

    # -- what people do to them ---------------------------------------------------------------------

    def cancel(self, key: str) -> Job:
        """Give a job up and remove its values; one that runs is cancelled once its attempt brings no proof.

        Raises :class:`CallerError` if the job has ended.
        """
        with self.database.change() as on:
            job = self._the(on, key)
            if job.state is State.RUNNING:
                on.execute("UPDATE jobs SET cancelling = 1 WHERE key = ?", (key,))
            elif job.state in (State.QUEUED, State.FAILED):
                settled(on, key, State.CANCELLED, self.clock())
                self.values.forget(key)
            else:
                raise CallerError(f"job {key[:12]} is {job.state}: there is nothing to cancel")
            return self._the(on, key)

    def retry(self, key: str) -> Job:
        """Queue a failed job again, however often it was tried, or let one go on that was to be cancelled.

        Raises :class:`CallerError` if it did not fail, or its values are gone.
        """
        with self.database.change() as on:
            job = self._the(on, key)
            if job.state is State.RUNNING and job.cancelling:
                on.execute("UPDATE jobs SET cancelling = 0 WHERE key = ?", (key,))
            elif job.state is not State.FAILED:
                raise CallerError(f"job {key[:12]} is {job.state}", hint="failed jobs are retried")
            elif not self.values.path(key).is_file():
                raise CallerError(
                    f"the values of job {key[:12]} are gone", hint="ask for the proof again: that retries it"
                )
            else:
                requeued(on, key, self.clock())
            return self._the(on, key)

    # -- looking ------------------------------------------------------------------------------------

    def get(self, key: str) -> Job:
        """Return a job. Raises :class:`CallerError` if there is none."""
        return self._one(self.database.rows(f"{JOBS} WHERE jobs.key = ?", (key,)), key)

    def find(self, prefix: str) -> Job:
        """Return the one job whose key starts with ``prefix``. Raises :class:`CallerError`."""
        rows = self.database.rows(f"{JOBS} WHERE substr(jobs.key, 1, ?) = ?", (len(prefix), prefix.lower()))
        if len(rows) > 1:
            raise CallerError(f"{len(rows)} jobs start with {prefix!r}", hint="give more digits of its key")
        return self._one(rows, prefix)

    def jobs(
        self, states: Sequence[State] = (), circuit: str | None = None, limit: int | None = None
    ) -> list[Job]:
        """Return jobs, newest first: those in ``states``, of ``circuit``, at most ``limit``."""
        conditions, values = ["1"], [*map(str, states)]
        if states:
            conditions.append(f"jobs.state IN ({', '.join('?' * len(states))})")
        if circuit is not None:
            conditions.append("jobs.circuit = ?")
            values.append(circuit)
        sql = f"{JOBS} WHERE {' AND '.join(conditions)} ORDER BY jobs.submitted DESC, jobs.rowid DESC LIMIT ?"
        return [job_of(row) for row in self.database.rows(sql, [*values, -1 if limit is None else limit])]

    def attempts(self, key: str) -> list[Attempt]:
        """Return the attempts at a job, in order."""
        rows = self.database.rows("SELECT * FROM attempts WHERE job = ? ORDER BY number", (key,))
        return [attempt_of(row) for row in rows]

    def _undone(
        self,
        on: sqlite3.Connection,
        claim: Claim,
        outcome: Outcome,
        now: float,
        error: BaseException | None = None,
    ) -> None:
        state = undone(on, claim, outcome, now, error)
        # Values that nobody will want again do not lie around.
        if state is State.CANCELLED or (state is State.FAILED and isinstance(error, WitnessRejected)):
            self.values.forget(claim.key)

    def _lives(self, row: sqlite3.Row) -> bool:
        return self.alive(row["owner"], row["lease"], self.clock())

    @staticmethod
    def _find(on: sqlite3.Connection, key: str) -> Job | None:
        row = on.execute(f"{JOBS} WHERE jobs.key = ?", (key,)).fetchone()
        return job_of(row) if row else None

    @classmethod
    def _the(cls, on: sqlite3.Connection, key: str) -> Job:
        return cls._one(on.execute(f"{JOBS} WHERE jobs.key = ?", (key,)).fetchall(), key)

    @staticmethod
    def _one(rows: Sequence[sqlite3.Row], key: str) -> Job:
        if not rows:
            raise CallerError(f"no job {key[:12]!r}", hint="see: fedproof jobs list")
        return job_of(rows[0])

    @classmethod
    def _holds(cls, on: sqlite3.Connection, claim: Claim) -> bool:
        job = cls._the(on, claim.key)
        return job.state is State.RUNNING and (job.owner, job.attempts) == (claim.owner, claim.number)
