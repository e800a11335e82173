"""Files that are either the old one or the new one, never half of either."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from fedproof.errors import TerminalError


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write ``content`` through a temporary file beside ``path``; folders are made as needed.

    Text is UTF-8. ``mode`` holds from the start: a private file (0o600) is never readable by others.

    Raises :class:`TerminalError` when the disk refuses (full, read-only); then ``path`` is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise TerminalError(f"cannot write {path}: {error.strerror or error}") from error


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
