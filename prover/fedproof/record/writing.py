"""Writing a text file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fedproof.errors import TerminalError


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8 through a temporary file beside it; folders are made as needed.

    Raises:
        TerminalError: the file cannot be written (no space, no permission); nothing is left behind.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise TerminalError(f"cannot write {path}: {error.strerror or error}") from error
