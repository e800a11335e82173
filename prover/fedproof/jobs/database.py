"""The database of jobs: its tables, its versions, and what SQLite says turned into errors of the package."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from fedproof.errors import RetryableError, TerminalError
from fedproof.jobs.failures import JobsDamaged, JobsNewer

#: Of the tables below. A later one that only adds to them migrates in ``_prepare``.
VERSION = 1
#: "FPJB": says whose file this is.
APPLICATION = 0x46504A42
#: Seconds a writer waits for another.
_BUSY_S = 30.0

_TABLES = """
CREATE TABLE jobs (
    key TEXT PRIMARY KEY,
    circuit TEXT NOT NULL,
    circuit_key TEXT NOT NULL,
    srs_digest TEXT NOT NULL,
    toolchain TEXT NOT NULL,
    folder TEXT NOT NULL,
    srs TEXT NOT NULL,
    expected_s REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    submitted REAL NOT NULL,
    changed REAL NOT NULL,
    not_before REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    counted_from INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease REAL,
    cause TEXT,
    message TEXT,
    hint TEXT,
    CHECK ((state = 'running') = (owner IS NOT NULL))
);
CREATE INDEX jobs_by_state ON jobs (state, submitted);
CREATE TABLE attempts (
    job TEXT NOT NULL REFERENCES jobs (key),
    number INTEGER NOT NULL,
    owner TEXT NOT NULL,
    backend TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    outcome TEXT,
    cause TEXT,
    message TEXT,
    witness_s REAL,
    prove_s REAL,
    peak_bytes INTEGER,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX attempts_by_end ON attempts (ended);
"""


class Database:
    """One connection to the database at ``path``, for all threads of a process.

    Raises :class:`JobsDamaged` if it is no such database, :class:`JobsNewer` if a newer Fedproof wrote it,
    :class:`TerminalError` if the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as e:
            raise TerminalError(f"cannot make the folder {path.parent}: {e.strerror or e}") from e
        with self._typed():
            # Two that open a new database at once would both make its tables.
            with FileLock(f"{path}.lock"):
                # Transactions are begun and ended below, never by the library.
                self._connection = sqlite3.connect(
                    path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare()
                except BaseException:
                    self._connection.close()
                    raise
            self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return what a query gives."""
        with self._lock, self._typed():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which sees what no other changes meanwhile: all of it is written, or nothing."""
        with self._lock, self._typed():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        found = self._pragma("application_id"), self._pragma("user_version")
        if found == (0, 0):
            if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise self._damaged("it is a database of something else")
            # Readers never wait for the writer, and a killed process leaves nothing half-written. What is
            # lost when the power fails is found again beside it: proofs are files that were synced.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {APPLICATION};"
                f" PRAGMA user_version = {VERSION}; COMMIT;"
            )
        elif found[0] != APPLICATION:
            raise self._damaged("it is a database of something else")
        elif found[1] > VERSION:
            raise JobsNewer(
                f"{self.path} has version {found[1]}, this Fedproof knows up to {VERSION}",
                hint="update Fedproof, or set FEDPROOF_JOBS to another folder",
            )
        elif (said := self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise self._damaged(str(said))
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _damaged(self, how: str) -> JobsDamaged:
        return JobsDamaged(
            f"{self.path} is damaged: {how}",
            hint="move the file away, its -wal and -shm too: proofs beside it are found again",
        )

    @contextmanager
    def _typed(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            said = str(e)
            if "locked" in said or "busy" in said:
                raise RetryableError(
                    f"{self.path} is locked by another process: {said}", hint="try again"
                ) from e
            if "malformed" in said or "no such" in said:
                raise self._damaged(said) from e
            raise TerminalError(f"cannot use {self.path}: {said}", hint=_ADVICE) from e
        except sqlite3.DatabaseError as e:
            raise self._damaged(str(e)) from e


_ADVICE = "make room on the disk, see that the folder can be written, and run it again"


def as_dict(row: sqlite3.Row) -> dict[str, Any]:
    """Return a row by the names of its columns."""
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row is not a mapping
