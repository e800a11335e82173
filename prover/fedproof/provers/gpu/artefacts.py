"""The artefacts of another toolchain: beside those of the package, in a folder of their own.

A circuit's folder has ``toolchains/TOOLCHAIN`` with settings, compiled circuit and keys that this build made
of the same circuit graph, and a manifest with their hashes. Nothing there is ever given to another build.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from fedproof.errors import TerminalError
from fedproof.files import sha256_file, write_whole
from fedproof.provers.artefacts import COMPILED, MANIFEST, PK, SETTINGS, VK

FOLDER = "toolchains"
GRAPH = "circuit.onnx"


def folder_of(folder: Path, toolchain: str) -> Path:
    """Where the artefacts of ``toolchain`` lie, for the circuit in ``folder``."""
    return folder / FOLDER / toolchain.replace(" ", "-")


def ensure(folder: Path, srs: Path, toolchain: str, make: Callable[[Path, dict[str, Any]], None]) -> Path:
    """Return the folder of the toolchain's artefacts; ``make(folder, run_args)`` makes them if need be.

    Raises :class:`TerminalError` where the circuit is not compiled.
    """
    own = folder_of(folder, toolchain)
    if (own / MANIFEST).is_file():
        return own
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except OSError as e:
        raise TerminalError(f"no compiled circuit in {folder}", hint="compile the circuit again") from e
    own.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(own.with_name(f".{own.name}.lock")):
        if (own / MANIFEST).is_file():
            return own
        draft = own.with_name(f".draft-{own.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            make(draft, {name: _value(text) for name, text in manifest["run_args"].items()})
            kept = {
                "toolchain": toolchain,
                "slots": manifest["slots"],
                "instances": manifest["instances"],
                "srs_digest": sha256_file(srs),
                "artefacts": {n: sha256_file(draft / n) for n in (SETTINGS, COMPILED, VK, PK)},
                "costs": manifest["costs"],
            }
            write_whole(draft / MANIFEST, json.dumps(kept, indent=2) + "\n")
            draft.rename(own)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return own


def _value(text: str) -> object:
    # A manifest has every setting as text: numbers, truths and ranges as Python writes them, words bare.
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
