"""The same commitments, computed by ezkl: for checking a compiled circuit against our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ezkl

from fedproof.commitments.field import SCALAR_MODULUS, Integers, integer_vector
from fedproof.commitments.point import Commitment, Point
from fedproof.errors import CallerError


def felt(value: int) -> str:
    """An integer as ezkl writes field elements: 64 hex digits, little endian; negative ones modulo r."""
    return (value % SCALAR_MODULUS).to_bytes(32, "little").hex()


def ezkl_commitment(
    vector: Integers, verifying_key: Path | str, settings: Path | str, srs: Path | str
) -> Commitment:
    """C(vector) by ezkl, with the number of reserved rows of the circuit behind ``verifying_key``.

    ``srs`` must be of exactly the circuit's k: ezkl does not cut it. Raises CallerError when ezkl cannot read
    one of the files.
    """
    felts = [felt(value) for value in integer_vector(vector)]
    try:
        # ezkl's type stub leaves out the fields of its points.
        points: list[Any] = ezkl.kzg_commit(felts, str(verifying_key), str(settings), str(srs))
    except (OSError, RuntimeError, ValueError) as error:
        raise CallerError(f"ezkl cannot commit with {verifying_key} and {srs}: {error}") from error
    return tuple(Point.checked(_coordinate(point.x), _coordinate(point.y)) for point in points)


def _coordinate(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text.removeprefix("0x")), "little")
