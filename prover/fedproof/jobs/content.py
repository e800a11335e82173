"""The values of a job: one canonical form, which its key is a hash of, in private files until it is done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fedproof.errors import TerminalError
from fedproof.files import write_whole
from fedproof.jobs.states import Work

_ELEMENT, _COUNT = 32, 8
#: Seconds after which a file that is half-written, or that no job speaks of, was left by a process that died.
_HALF_S, _STRAY_S = 60.0, 3600.0


def pack(slots: Sequence[Sequence[int]]) -> bytes:
    """Return slots as bytes: how many; of each how many elements, and these mod r, 32 bytes each."""
    from fedproof.commitments.field import SCALAR_MODULUS  # noqa: PLC0415 - not to look at a queue

    parts = [len(slots).to_bytes(_COUNT, "little")]
    for slot in slots:
        parts.append(len(slot).to_bytes(_COUNT, "little"))
        parts.extend((int(v) % SCALAR_MODULUS).to_bytes(_ELEMENT, "little") for v in slot)
    return b"".join(parts)


def unpack(content: bytes) -> list[list[int]]:
    """Return the slots of :func:`pack`."""
    slots, at = [], _COUNT
    for _ in range(int.from_bytes(content[:_COUNT], "little")):
        length = int.from_bytes(content[at : at + _COUNT], "little")
        at += _COUNT
        end = at + length * _ELEMENT
        slots.append([int.from_bytes(content[i : i + _ELEMENT], "little") for i in range(at, end, _ELEMENT)])
        at = end
    return slots


def job_key(work: Work, content: bytes) -> str:
    """Return the key of a job, 64 hex digits: equal where the same proof is wanted, and only there.

    It tells nothing about the values: committed vectors of private data end in random salts.
    """
    said = "\n".join(("fedproof job 1", work.circuit_key, work.srs_digest, work.toolchain))
    return hashlib.sha256(said.encode() + b"\n" + hashlib.sha256(content).digest()).hexdigest()


class Values:
    """A folder of the values of unfinished jobs, readable by their owner only: they hold trainers' data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the values of a job lie."""
        return self.folder / f"{key}.values"

    def keep(self, key: str, content: bytes) -> None:
        """Write them, unless they are there. Raises :class:`TerminalError` on a full disk."""
        if not self.path(key).is_file():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.path(key), content, mode=0o600)

    def load(self, key: str, work: Work) -> list[list[int]]:
        """Read them. Raises :class:`TerminalError` if they are gone or are not what the key is a hash of."""
        try:
            content = self.path(key).read_bytes()
        except OSError as e:
            raise TerminalError(
                f"the values of job {key[:12]} are gone: {e.strerror or e}",
                hint="only who has them can ask for this proof again",
            ) from e
        if job_key(work, content) != key:
            raise TerminalError(
                f"the values of job {key[:12]} are damaged", hint=f"remove {self.path(key)} and ask again"
            )
        return unpack(content)

    def forget(self, key: str) -> None:
        """Remove them, if they are there."""
        self.path(key).unlink(missing_ok=True)

    def sweep(self, wanted: set[str]) -> None:
        """Remove what processes that died left: half-written files, and values that no job speaks of."""
        now = time.time()
        for path in self.folder.glob("*"):
            half = path.suffix == ".tmp"
            with suppress(FileNotFoundError):
                age = now - path.stat().st_mtime
                if (half and age > _HALF_S) or (path.stem not in wanted and age > _STRAY_S):
                    path.unlink()
