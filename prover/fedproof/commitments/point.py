"""Points and vector commitments as contracts and proofs write them, and their arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedproof.commitments.curve import INFINITY as _INFINITY
from fedproof.commitments.curve import Affine, add_pairs, is_on_curve, negate
from fedproof.commitments.field import BASE_MODULUS
from fedproof.commitments.msm import msm
from fedproof.errors import CallerError, InvalidProof

POINT_BYTES = 64
"""Bytes of a point in a proof."""

_COORDINATE = 32
_ODD_FLAG = 0x80
_INFINITY_FLAG = 0x40


class InvalidPoint(InvalidProof):
    """Coordinates or bytes that are not a point of BN254 G1."""


class Point(NamedTuple):
    """An affine point of BN254 G1 with canonical coordinates; infinity is (0, 0), as in the EVM precompiles.

    The constructor does not check; :meth:`checked` does, and so does everything that reads bytes.
    """

    x: int
    y: int

    @classmethod
    def checked(cls, x: int, y: int) -> Point:
        """The point (x, y). Raises InvalidPoint unless it is on the curve, coordinates canonical."""
        if not is_on_curve(x, y):
            raise InvalidPoint(f"({x}, {y}) is not a point of BN254 G1")
        return cls(x, y)

    @classmethod
    def from_bytes(cls, data: bytes) -> Point:
        """Read 64 bytes, x then y, big endian, as in proof bytes. Raises InvalidPoint."""
        if len(data) != POINT_BYTES:
            raise InvalidPoint(f"a point has {POINT_BYTES} bytes, not {len(data)}")
        return cls.checked(
            int.from_bytes(data[:_COORDINATE], "big"), int.from_bytes(data[_COORDINATE:], "big")
        )

    def to_bytes(self) -> bytes:
        """64 bytes, x then y, big endian."""
        return self.x.to_bytes(_COORDINATE, "big") + self.y.to_bytes(_COORDINATE, "big")

    @classmethod
    def from_compressed(cls, data: bytes | str) -> Point:
        """Read halo2's 32 bytes (x little endian, flags in the top bits), as in ezkl's witness, or their hex.

        Raises InvalidPoint.
        """
        if isinstance(data, str):
            try:
                data = bytes.fromhex(data.removeprefix("0x"))
            except ValueError as error:
                raise InvalidPoint(f"{data!r} is not the hex of a compressed point") from error
        if len(data) != _COORDINATE:
            raise InvalidPoint(f"a compressed point has {_COORDINATE} bytes, not {len(data)}")
        flags = data[-1]
        x = int.from_bytes(data[:-1] + bytes([flags & ~(_ODD_FLAG | _INFINITY_FLAG)]), "little")
        if flags & _INFINITY_FLAG:
            if x or flags & _ODD_FLAG:
                raise InvalidPoint(f"{data.hex()} is not the compressed form of infinity")
            return INFINITY
        # The base modulus is 3 modulo 4, so this is a square root if there is one; checked() finds out.
        y = pow(x * x * x + 3, (BASE_MODULUS + 1) // 4, BASE_MODULUS)
        if bool(y & 1) != bool(flags & _ODD_FLAG):
            y = BASE_MODULUS - y
        return cls.checked(x, y)

    def to_compressed(self) -> bytes:
        """halo2's 32 bytes."""
        if self == INFINITY:
            return bytes(_COORDINATE - 1) + bytes([_INFINITY_FLAG])
        data = bytearray(self.x.to_bytes(_COORDINATE, "little"))
        data[-1] |= _ODD_FLAG if self.y & 1 else 0
        return bytes(data)


Commitment = tuple[Point, ...]
"""The commitment of a vector: one point for each column it fills."""

INFINITY = Point(*_INFINITY)


def _points(results: Sequence[Affine]) -> Commitment:
    return tuple(Point(x, y) for x, y in results)


def add(left: Commitment, right: Commitment) -> Commitment:
    """``left + right``, column by column. Raises InvalidProof when they have different numbers of columns."""
    _same_columns([left, right])
    return _points(add_pairs(left, right))


def neg(commitment: Commitment) -> Commitment:
    """``-commitment``."""
    return _points([negate(point) for point in commitment])


def sub(left: Commitment, right: Commitment) -> Commitment:
    """``left - right``, column by column. Raises InvalidProof when they have different numbers of columns."""
    return add(left, neg(right))


def mul(commitment: Commitment, scalar: int) -> Commitment:
    """``scalar * commitment``; the scalar is any integer, taken modulo the order of the curve."""
    return _points([msm([point], [scalar]) for point in commitment])


def weighted_sum(commitments: Sequence[Commitment], weights: Sequence[int]) -> Commitment:
    """``sum(weights[i] * commitments[i])``, column by column.

    Raises InvalidProof when the commitments have different numbers of columns, CallerError when there are
    none or not as many weights.
    """
    if not commitments:
        raise CallerError("a sum of no commitments has no number of columns", hint="pass at least one")
    if len(weights) != len(commitments):
        raise CallerError(
            f"{len(commitments)} commitments and {len(weights)} weights", hint="pass one for each"
        )
    _same_columns(commitments)
    return _points([msm(column, weights) for column in zip(*commitments, strict=True)])


def read_commitments(proof: bytes, columns: Sequence[int]) -> list[Commitment]:
    """The commitments at the start of proof bytes: ``columns[i]`` points for the i-th committed tensor.

    Raises InvalidPoint when the proof is too short or one of them is not on the curve.
    """
    needed = POINT_BYTES * sum(columns)
    if len(proof) < needed:
        raise InvalidPoint(f"the proof has {len(proof)} bytes; its commitments alone take {needed}")
    points = iter([Point.from_bytes(proof[i : i + POINT_BYTES]) for i in range(0, needed, POINT_BYTES)])
    return [tuple(next(points) for _ in range(count)) for count in columns]


def _same_columns(commitments: Sequence[Commitment]) -> None:
    counts = sorted({len(commitment) for commitment in commitments})
    if len(counts) > 1:
        raise InvalidProof(
            f"commitments of {' and '.join(map(str, counts))} columns cannot be added",
            hint="they commit to vectors of different lengths or circuits of different k",
        )
