"""The folder of a node with what has reached it: files under their digests, circuits linked from them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path

from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.files import sha256_file
from fedproof.provers.ray.kit import Digests, File, Kit

#: Where a node keeps what it received, and how much of it, in GiB.
SETTING, LIMIT_SETTING = "FEDPROOF_CACHE", "FEDPROOF_CACHE_GIB"
LIMIT_GIB = 50.0
#: A circuit that was used within this time stays, whatever the limit: a proof of it may be running.
IN_USE_S = 2 * 3600.0


def default_folder() -> Path:
    """``FEDPROOF_CACHE``, or the user's cache folder."""
    chosen = os.environ.get(SETTING)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(chosen) if chosen else base / "fedproof"


class Cache:
    """Files by content. Several processes of a machine may share one folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_folder()
        self.objects, self.circuits = self.root / "objects", self.root / "circuits"
        self._digests = Digests()

    def place(self, kit: Kit, *, shared: bool = True) -> tuple[Path, Path] | list[str]:
        """Return folder and SRS of ``kit`` on this machine, or the digests of the files that it lacks.

        With ``shared``, the caller's own paths serve where they lead to the same contents here: on its own
        machine, or over a network file system.
        """
        if shared and all(self._is(path, digest) for digest, path in kit.paths().items()):
            return Path(kit.folder), Path(kit.srs_path)
        folder = self.circuits / kit.key
        wanted = [(folder / f.name, f) for f in kit.files] + [(folder / "srs" / kit.srs.name, kit.srs)]
        missing = [f.digest for path, f in wanted if not (self._is(path, f.digest) or self._link(path, f))]
        if missing:
            return missing
        folder.touch()  # when it was last of use
        return folder, folder / "srs" / kit.srs.name

    def _is(self, path: Path, digest: str) -> bool:
        try:
            return self._digests.of(path) == digest
        except OSError:
            return False

    def _link(self, path: Path, file: File) -> bool:
        """Put a received file in its place; a damaged one is dropped."""
        source = self.objects / file.digest
        if not self._is(source, file.digest):
            source.unlink(missing_ok=True)
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        os.link(source, beside)
        beside.replace(path)
        return True

    # -- receiving ----------------------------------------------------------------------------------

    def has(self, digest: str) -> bool:
        """Whether the file of that digest was received."""
        return (self.objects / digest).is_file()

    def write(self, digest: str, offset: int, data: bytes) -> None:
        """Keep a piece of a file that is being received by this process."""
        try:
            self.objects.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(
                os.open(self._incoming(digest), os.O_WRONLY | os.O_CREAT, 0o600), "wb", buffering=0
            ) as file:
                file.seek(offset)
                file.write(data)
        except OSError as e:
            raise TerminalError(f"cannot write to {self.objects}: {e.strerror or e}") from e

    def finish(self, digest: str, size: int) -> None:
        """Check what was received and keep it under its digest.

        Raises :class:`RetryableError` if it is not what it should be.
        """
        path = self._incoming(digest)
        if not path.is_file() or path.stat().st_size != size or sha256_file(path) != digest:
            path.unlink(missing_ok=True)
            raise RetryableError(f"what was received is not {digest[:12]}…", hint="it is sent again")
        path.chmod(0o400)
        path.replace(self.objects / digest)
        self.trim(keep=digest)

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """Return a piece of a received file, for another node."""
        with (self.objects / digest).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _incoming(self, digest: str) -> Path:
        return self.objects / f".{digest}.{os.getpid()}"

    # -- making room --------------------------------------------------------------------------------

    def trim(self, *, keep: str = "") -> None:
        """Remove circuits, the longest unused first, until what is left fits the limit."""
        limit = _limit()
        with contextlib.suppress(OSError):
            # Another process that trims at the same time is no failure of this one.
            for folder in sorted(self.circuits.glob("*"), key=lambda p: p.stat().st_mtime):
                if self._size() <= limit or time.time() - folder.stat().st_mtime < IN_USE_S:
                    break
                shutil.rmtree(folder, ignore_errors=True)
                self._drop_unlinked(keep)

    def _size(self) -> int:
        return sum(p.stat().st_size for p in self.objects.iterdir())

    def _drop_unlinked(self, keep: str) -> None:
        for path in self.objects.iterdir():
            if path.stat().st_nlink == 1 and path.name != keep and not path.name.startswith("."):
                path.unlink(missing_ok=True)


def _limit() -> float:
    text = os.environ.get(LIMIT_SETTING) or str(LIMIT_GIB)
    try:
        return float(text) * 2**30
    except ValueError as e:
        raise CallerError(f"{LIMIT_SETTING} is {text!r}, no number of GiB") from e
