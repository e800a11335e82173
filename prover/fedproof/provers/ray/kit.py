"""What a proof needs besides its vectors: a few files of a circuit and an SRS, named by their contents."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedproof.errors import TerminalError
from fedproof.files import sha256_bytes, sha256_file
from fedproof.provers.artefacts import COMPILED, MANIFEST, PK, SETTINGS, VK

#: What proving reads of a circuit's folder; the manifest is missing only while a circuit is compiled.
NEEDED = (COMPILED, PK)
WHERE_THERE = (SETTINGS, VK, MANIFEST)


@dataclass(frozen=True)
class File:
    """One file: its name in the folder, its size, the SHA-256 of its contents."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Kit:
    """The files of one circuit and its SRS, and where the caller's machine has them.

    ``key`` is a hash of names and contents; a kit with the same key is the same on any machine.
    """

    key: str
    folder: str
    srs_path: str
    files: tuple[File, ...]
    srs: File

    def paths(self) -> dict[str, Path]:
        """Digest to path on the machine that described the kit."""
        found = {f.digest: Path(self.folder) / f.name for f in self.files}
        return found | {self.srs.digest: Path(self.srs_path)}


class Digests:
    """SHA-256 of files, computed once for a size and a time of change. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int, int], str] = {}
        self._lock = threading.Lock()

    def of(self, path: Path) -> str:
        """Return the digest of ``path``; raises :class:`OSError` if it cannot be read."""
        stat = path.stat()
        state = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        with self._lock:  # a key of gigabytes is not hashed by every thread
            if state not in self._known:
                self._known[state] = sha256_file(path)
            return self._known[state]


def describe(folder: Path, srs: Path, digests: Digests) -> Kit:
    """Describe the files of ``folder`` and ``srs``; raises :class:`TerminalError` where one is missing."""
    folder, srs = folder.resolve(), srs.resolve()
    names = [*NEEDED, *(n for n in WHERE_THERE if (folder / n).is_file())]
    files = tuple(_file(folder / name, digests) for name in names)
    shared = _file(srs, digests)
    parts = [(f.name, f.digest) for f in (*files, shared)]
    return Kit(sha256_bytes(json.dumps(parts).encode())[:40], str(folder), str(srs), files, shared)


def _file(path: Path, digests: Digests) -> File:
    try:
        return File(path.name, path.stat().st_size, digests.of(path))
    except FileNotFoundError as e:
        raise TerminalError(f"{path.name} is not in {path.parent}", hint="compile the circuit again") from e
    except OSError as e:
        raise TerminalError(f"cannot read {path}: {e.strerror or e}") from e


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a circuit's folder as it stands there, None where there is none."""
    path = folder / MANIFEST
    try:
        made: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise TerminalError(f"{path} is damaged: {e}", hint="compile the circuit again") from e
    return made
