"""Where a project's declarations and its generated files lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fedproof.errors import CallerError


@dataclass(frozen=True)
class Project:
    """A folder with ``circuits/`` and the code they refer to; everything generated lies in ``build``."""

    root: Path
    build: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """Find the project around ``start`` (default: here).

        It is ``FEDPROOF_PROJECT``, or the nearest folder upwards with ``circuits/*.toml``. Generated files
        go to ``FEDPROOF_BUILD``, or to ``build`` in the project.

        Raises :class:`CallerError` when there is none.
        """
        if chosen := os.environ.get("FEDPROOF_PROJECT"):
            root = Path(chosen).resolve()
            if not (root / "circuits").is_dir():
                raise CallerError(f"FEDPROOF_PROJECT is {root}, which has no circuits folder")
        else:
            here = (start or Path.cwd()).resolve()
            found = next((p for p in (here, *here.parents) if any(p.glob("circuits/*.toml"))), None)
            if found is None:
                raise CallerError(
                    f"no project here: neither {here} nor a folder above it has circuits/*.toml",
                    hint="change to a project folder or set FEDPROOF_PROJECT",
                )
            root = found
        return cls(root, Path(os.environ.get("FEDPROOF_BUILD") or root / "build").resolve())

    @property
    def circuits(self) -> Path:
        """Folder of the circuit declarations."""
        return self.root / "circuits"

    @property
    def store(self) -> Path:
        """Content-addressed store of compiled circuits."""
        return self.build / "store"

    @property
    def srs(self) -> Path:
        """Folder of the structured reference strings."""
        return self.build / "srs"
