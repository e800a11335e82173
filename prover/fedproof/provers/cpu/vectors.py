"""Committed vectors on their way to ezkl: checked against the circuit's slots, written as field elements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedproof.errors import CallerError, TerminalError
from fedproof.provers.artefacts import SCALAR_MODULUS


def felt(value: int) -> str:
    """Return a field element as ezkl's hex: 32 bytes, little-endian. Numbers would pass through floats."""
    return (value % SCALAR_MODULUS).to_bytes(32, "little").hex()


def demand_shape(slots: Sequence[Sequence[int]], manifest: dict[str, Any]) -> None:
    """Refuse vectors of another shape: ezkl ignores vectors too many and panics where one is missing."""
    shapes = manifest["slots"]
    if len(slots) != len(shapes):
        names = ", ".join(s["name"] for s in shapes)
        raise CallerError(f"{len(slots)} vectors are given, the circuit commits to {len(shapes)}: {names}")
    for slot, shape in zip(slots, shapes, strict=True):
        if len(slot) != shape["length"]:
            raise CallerError(
                f"vector {shape['name']!r} has {len(slot)} elements, the circuit takes {shape['length']}"
            )


def write_input(path: Path, slots: Sequence[Sequence[int]]) -> None:
    """Write the vectors as ezkl's input; raises :class:`TerminalError` where there is no room."""
    text = json.dumps({"input_data": [[felt(int(v)) for v in slot] for slot in slots]})
    try:
        path.write_text(text)
    except OSError as e:
        raise TerminalError(f"cannot write to the temporary folder: {e.strerror or e}") from e
