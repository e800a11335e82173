"""A folder of SRS files: one for each k, each with a record of its digest and where it came from.

kNN.srs is the file, kNN.json its record. The record is written first and the file renamed into place last, so
an SRS is either there with its record or not there. A store holds development SRS or imported ones, never
both, and never replaces one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import ezkl
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedproof.errors import CallerError, TerminalError
from fedproof.srs.check import StageProgress, check_srs
from fedproof.srs.layout import InvalidSrs, check_logrows, open_srs

_CHUNK = 1 << 20


class SrsNotFoundError(CallerError):
    """The store has no SRS of that k."""


class SrsConflictError(CallerError):
    """The store already holds something that must not be replaced or mixed with what was asked for."""


@dataclass(frozen=True)
class Srs:
    """An SRS whose bytes have the recorded digest.

    ``development`` means that whoever made it may know the secret: proofs under it prove nothing to others.
    ``digest`` is the SHA-256 of the file, in hex.
    """

    path: Path
    k: int
    digest: str
    development: bool


class SrsRecord(BaseModel):
    """What lies beside an SRS, as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    k: int
    development: bool
    source: str
    created: datetime


class SrsStore:
    """The SRS files under ``folder``, which is made when something is first put into it."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._verified: dict[int, tuple[int, int, str]] = {}

    def get(self, k: int) -> Srs:
        """The SRS of 2^k rows, its digest verified against its record.

        Raises SrsNotFoundError when there is none, InvalidSrs when file and record disagree, CallerError for
        an impossible k.
        """
        path, record_path = self._paths(k)
        if not path.exists():
            raise SrsNotFoundError(
                f"no SRS of k={k} in {self.folder}",
                hint="make a development one, or import one from a public ceremony",
            )
        record = self._record(k)
        open_srs(path, k)
        status = path.stat()
        known = self._verified.get(k)
        if known is None or known[:2] != (status.st_size, status.st_mtime_ns):
            known = (status.st_size, status.st_mtime_ns, _digest(path))
            self._verified[k] = known
        if known[2] != record.sha256:
            raise InvalidSrs(
                f"{path.name} has the SHA-256 {known[2]}, its record {record_path.name} says {record.sha256}",
                hint="one of them was changed; remove both and import or make the SRS again",
            )
        return Srs(path, k, record.sha256, record.development)

    def ensure_development(self, k: int, progress: StageProgress | None = None) -> Srs:
        """The development SRS of 2^k rows, made if it is not there yet (seconds at k=14, a minute at k=17).

        Two processes that ask at once make it once. Raises SrsConflictError when the store holds imported
        SRS.
        """
        with self._locked(progress):
            self._refuse_mixing(development=True)
            path, _ = self._paths(k)
            if path.exists():
                return self.get(k)
            return self._make(k, progress)

    def put_imported(
        self, file: Path | str, k: int, sha256: str, *, source: str, progress: StageProgress | None = None
    ) -> Srs:
        """See :func:`import_srs`."""
        expected = sha256.strip().lower().removeprefix("0x")
        if len(expected) != 64 or not set(expected) <= set("0123456789abcdef"):
            raise CallerError(
                f"{sha256!r} is not a SHA-256", hint="give 64 hex digits, from the ceremony's own site"
            )
        original = open_srs(file, k)
        if _is_development(original.path, expected):
            raise SrsConflictError(
                f"{original.path} is a development SRS: its record says so",
                hint="whoever made it may know its secret; import one from a public ceremony",
            )
        with self._locked(progress):
            self._refuse_mixing(development=False)
            path, _ = self._paths(k)
            if path.exists():
                present = self.get(k)
                if present.digest != expected:
                    raise SrsConflictError(
                        f"{self.folder} already has another SRS of k={k}, with the SHA-256 {present.digest}",
                        hint="commitments and keys depend on it; import into another folder",
                    )
                return present
            with self._incoming(k) as (temporary, stream):
                with original.path.open("rb") as incoming:
                    digest = _copy(incoming, stream)
                if digest != expected:
                    raise InvalidSrs(
                        f"{original.path} has the SHA-256 {digest}, not {expected}",
                        hint="the file is not the one that was asked for; get it again",
                    )
                check_srs(open_srs(temporary, k), progress)
                return self._keep(temporary, k, digest, development=False, source=source)

    def _make(self, k: int, progress: StageProgress | None) -> Srs:
        with self._incoming(k) as (temporary, _):
            if progress is not None:
                progress("development SRS", 0.0)
            try:
                ezkl.gen_srs(str(temporary), k)
            except (OSError, RuntimeError) as error:
                raise TerminalError(f"ezkl could not make an SRS of k={k}: {error}") from error
            open_srs(temporary, k)
            made = self._keep(
                temporary, k, _digest(temporary), development=True, source=f"ezkl {version('ezkl')} gen_srs"
            )
            if progress is not None:
                progress("development SRS", 1.0)
            return made

    def _keep(self, temporary: Path, k: int, digest: str, *, development: bool, source: str) -> Srs:
        path, record_path = self._paths(k)
        record = SrsRecord(
            sha256=digest,
            k=k,
            development=development,
            source=source,
            created=datetime.now(UTC).replace(microsecond=0),
        )
        with self._incoming(k) as (record_temporary, stream):
            stream.write(record.model_dump_json(indent=2).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
            record_temporary.replace(record_path)
        temporary.replace(path)
        status = path.stat()
        self._verified[k] = (status.st_size, status.st_mtime_ns, digest)
        return Srs(path, k, digest, development)

    @contextmanager
    def _incoming(self, k: int) -> Iterator[tuple[Path, BinaryIO]]:
        """A temporary file in the folder, removed unless it was renamed."""
        try:
            descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=f".k{k:02}.", suffix=".tmp")
        except OSError as error:
            raise TerminalError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield temporary, stream
        except OSError as error:
            raise TerminalError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, progress: StageProgress | None) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TerminalError(f"cannot make {self.folder}: {error.strerror or error}") from error
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if progress is not None:
                progress("waiting for another process", 0.0)
            lock.acquire()
        try:
            # Whoever holds the lock is the only writer, so these were left behind by a killed process.
            for stale in self.folder.glob(".k*.tmp"):
                stale.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def _refuse_mixing(self, *, development: bool) -> None:
        for path in sorted(self.folder.glob("k[0-9][0-9].srs")):
            held = self._record(int(path.stem[1:]))
            if held.development != development:
                kinds = ("imported", "development")
                raise SrsConflictError(
                    f"{self.folder} holds {kinds[held.development]} SRS ({path.name}); "
                    f"{kinds[development]} ones cannot go beside them",
                    hint="use another folder, so that nobody takes one kind for the other",
                )

    def _record(self, k: int) -> SrsRecord:
        path, record_path = self._paths(k)
        try:
            record = SrsRecord.model_validate_json(record_path.read_bytes())
        except FileNotFoundError:
            raise InvalidSrs(
                f"{path.name} has no record {record_path.name}: it was not put here by this store",
                hint="move it away and import it, with its SHA-256",
            ) from None
        except OSError as error:
            raise TerminalError(f"cannot read {record_path}: {error.strerror or error}") from error
        except ValidationError as error:
            raise InvalidSrs(f"{record_path} is not the record of an SRS: {error}") from error
        if record.k != k:
            raise InvalidSrs(f"{record_path} is the record of an SRS of k={record.k}")
        return record

    def _paths(self, k: int) -> tuple[Path, Path]:
        stem = f"k{check_logrows(k):02}"
        return self.folder / f"{stem}.srs", self.folder / f"{stem}.json"


def development_srs(k: int, store: SrsStore, progress: StageProgress | None = None) -> Srs:
    """The development SRS of ``store``; see :meth:`SrsStore.ensure_development`."""
    return store.ensure_development(k, progress)


def import_srs(
    file: Path | str,
    k: int,
    sha256: str,
    store: SrsStore,
    *,
    source: str = "imported",
    progress: StageProgress | None = None,
) -> Srs:
    """Check the SRS ``file`` of 2^k rows and copy it into ``store``.

    Its size and SHA-256 are compared with what is asked for, every point and every relation is checked (see
    :func:`fedproof.srs.check.check_srs`), and nothing is kept if any of that fails. ``source`` says where it
    came from, for the record. Raises CallerError for a file of another k, InvalidSrs for one that fails,
    SrsConflictError when the store holds development SRS or another one of this k.
    """
    return store.put_imported(file, k, sha256, source=source, progress=progress)


def _is_development(path: Path, digest: str) -> bool:
    """Whether a record beside ``path`` says that the SRS with this digest is a development one."""
    try:
        record = SrsRecord.model_validate_json(path.with_suffix(".json").read_bytes())
    except (OSError, ValidationError):
        return False
    return record.development and record.sha256 == digest


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(incoming: BinaryIO, outgoing: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := incoming.read(_CHUNK):
        digest.update(chunk)
        outgoing.write(chunk)
    outgoing.flush()
    os.fsync(outgoing.fileno())
    return digest.hexdigest()
