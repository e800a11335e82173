"""What a compiled circuit says about the jobs of its proofs."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from fedproof.errors import TerminalError
from fedproof.files import sha256_file
from fedproof.jobs.states import Work

_MANIFEST = "manifest.json"


def describe(folder: Path, srs: Path, toolchain: str) -> Work | None:
    """Return what a proof of the circuit in ``folder`` is a proof of; None if there is no manifest.

    Raises :class:`TerminalError` for a manifest or an SRS that cannot be read.
    """
    path = folder / _MANIFEST
    try:
        stamp = path.stat()
    except FileNotFoundError:
        return None
    key, name, expected_s = _manifest(path, stamp.st_mtime_ns, stamp.st_size)
    try:
        at = srs.stat()
        digest = _digest(srs.resolve(), at.st_mtime_ns, at.st_size)
    except OSError as e:
        raise TerminalError(f"{srs.name} is not in {srs.parent}", hint="compile the circuit again") from e
    return Work(name, key, digest, toolchain, folder.resolve(), srs.resolve(), expected_s)


@lru_cache(maxsize=64)
def _manifest(path: Path, _modified: int, _size: int) -> tuple[str, str, float]:
    try:
        # Not as a Manifest: whoever only looks at the queue need not wait for onnx.
        manifest = json.loads(path.read_text())
        return str(manifest["key"]), str(manifest["name"]), float(manifest["costs"]["prove_s"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise TerminalError(f"{path} is damaged", hint="compile the circuit again") from e


@lru_cache(maxsize=16)
def _digest(path: Path, _modified: int, _size: int) -> str:
    return sha256_file(path)
