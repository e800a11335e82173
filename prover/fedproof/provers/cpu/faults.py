"""Whose fault a failure of ezkl is: it says little, so files are compared with their hashes afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fedproof.errors import TerminalError
from fedproof.files import sha256_file
from fedproof.provers.artefacts import COMPILED, MANIFEST, PK


def demand(*paths: Path) -> None:
    """Without this a missing key would look like a witness that is rejected, or a proof that is invalid."""
    for path in paths:
        if not path.is_file():
            raise TerminalError(f"{path.name} is not in {path.parent}", hint="compile the circuit again")


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """Return the manifest, which is there except while a circuit is being compiled."""
    path = folder / MANIFEST
    return json.loads(path.read_text()) if path.is_file() else None


def damaged(folder: Path, srs: Path | None = None) -> TerminalError | None:
    """Return the error that names a file whose hash is not its manifest's, or None where all are whole.

    Reads and hashes the circuit, its key and the SRS: for what has failed already.
    """
    manifest = manifest_of(folder)
    if manifest is None:
        return None
    for name in (COMPILED, PK):
        path, digest = folder / name, manifest["artefacts"].get(name)
        if digest and path.is_file() and sha256_file(path) != digest:
            return TerminalError(
                f"{name} in {folder} is damaged: its hash is not the one in the manifest",
                hint="compile the circuit again",
            )
    if srs is not None and srs.is_file() and sha256_file(srs) != manifest["srs_digest"]:
        return TerminalError(
            f"the SRS {srs} is damaged, or not the one the circuit was compiled with",
            hint="fedproof srs show",
        )
    return None
