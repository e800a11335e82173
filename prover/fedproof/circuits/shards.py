"""An average as digits: one small circuit, proven once a shard.

The average of a weighted sum is a division by a power of two, elementwise: the remainder is the lowest digit
of the sum to the base 2**bits, the quotient the others, offset so that it may be negative. So all that is to
be proven is that some committed columns hold digits, the same claim for every column of every digit. The
quotient is a weighted sum of its digits' commitments: it is added up outside of the circuit, by whoever
verifies.

*Column* number ``digit * columns + c`` holds digit number ``digit`` (0: the remainder) of column c of the
vector. Shard i checks columns ``i * vectors`` to ``(i + 1) * vectors - 1``; what the last one has room for
beyond them means nothing.

A vector of several columns is padded to whole columns: the average of nothing is checked like any other
element, with ``ones`` reaching over the padding as well, so no row of these columns is free.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedproof.circuits.kinds import AverageSpec, Strict
from fedproof.commitments import Commitment, Committer, Point, add, mul, sub
from fedproof.errors import CallerError
from fedproof.lowering import Program
from fedproof.lowering.programs import digits_program
from fedproof.lowering.table import FIRST

FOLDER = "shard"


class Shards(Strict):
    """How an average is shared out over proofs of one circuit.

    ``count`` proofs of ``vectors`` columns each, of which ``rows`` elements are checked. The vector has
    ``columns`` columns, its sum ``digits`` digits of ``bits`` bits. ``points`` has a column's commitment in
    a proof: 2 where its rows are full, the second of which ezkl leaves empty. ``offset`` is what a column of
    the weighted sum of the digits' commitments exceeds the quotient's by.
    """

    count: int
    vectors: int
    rows: int
    points: int
    columns: int
    digits: int
    bits: int
    offset: tuple[int, int]

    @classmethod
    def of(cls, name: str, spec: AverageSpec, program: Program, committer: Committer) -> Shards:
        """Lay out the average whose ``program`` has one check a digit.

        Raises :class:`CallerError` where the columns cannot be shared out over as many proofs as declared.
        """
        count = spec.plonk.shards
        assert count is not None
        rows, vectors, columns = _shared(name, count, program, committer.usable_rows)
        digits = len(program.checks)
        weights = [1 << (spec.table * j) for j in range(digits - 1)]
        half = 1 << (spec.table * (digits - 1) - 1)
        one, tail = (_column(committer, rows),), (committer.tail,)
        excess = add(mul(tail, sum(weights) - 1), mul(one, FIRST * sum(weights) + half))
        return cls(
            count=count,
            vectors=vectors,
            rows=rows,
            points=committer.columns(rows),
            columns=columns,
            digits=digits,
            bits=spec.table,
            offset=(excess[0].x, excess[0].y),
        )

    @property
    def program(self) -> Program:
        """What each shard proves."""
        return digits_program(self.rows, self.vectors, self.bits)

    def ones(self, committer: Committer) -> Commitment:
        """P of ones in every row that is checked, padding included: what the hub rounds with."""
        return (_column(committer, self.rows),) * self.columns

    def padded(self, remainder: Sequence[int]) -> list[int]:
        """The remainder, as committed, to the end of its columns: the average of nothing is rounded too."""
        nothing = (1 << (self.bits - 1)) + FIRST
        return [*remainder, *[nothing] * (self.columns * self.rows - len(remainder))]

    def vectors_of(self, remainder: Sequence[int], delta: Sequence[int]) -> list[list[list[int]]]:
        """Return the committed vectors of each shard, from remainder, as committed, and quotient (D + S,)."""
        half, mask = 1 << (self.bits * (self.digits - 1) - 1), (1 << self.bits) - 1
        quotient = np.zeros(self.columns * self.rows, dtype=np.int64)
        quotient[: len(delta)] = delta
        quotient += half
        digits = [np.array(self.padded(remainder), dtype=np.int64)]
        digits += [((quotient >> (self.bits * j)) & mask) + FIRST for j in range(self.digits - 1)]
        columns: list[list[int]] = [c.tolist() for d in digits for c in d.reshape(self.columns, self.rows)]
        columns += [[FIRST] * self.rows] * (self.count * self.vectors - len(columns))
        return [columns[i : i + self.vectors] for i in range(0, len(columns), self.vectors)]

    def combined(self, points: Sequence[Sequence[Point]]) -> tuple[Commitment, Commitment]:
        """C of remainder and quotient, from the points that each shard's proof starts with."""

        def column(number: int) -> Commitment:
            shard, place = divmod(number, self.vectors)
            return (points[shard][place * self.points],)

        def quotient(c: int) -> Point:
            total = column(self.columns + c)
            for j in range(1, self.digits - 1):
                total = add(total, mul(column((j + 1) * self.columns + c), 1 << (self.bits * j)))
            return sub(total, (Point(*self.offset),))[0]

        remainder = tuple(column(c)[0] for c in range(self.columns))
        return remainder, tuple(quotient(c) for c in range(self.columns))


def shard_program(name: str, spec: AverageSpec, program: Program, usable: int) -> Program:
    """Return what one shard of an average proves, without an SRS; ``usable`` elements fill a column."""
    assert spec.plonk.shards is not None
    rows, vectors, _ = _shared(name, spec.plonk.shards, program, usable)
    return digits_program(rows, vectors, spec.table)


def digit_columns(program: Program, usable: int) -> int:
    """Columns of digits of an average whose ``program`` has one check a digit."""
    return (_length(program) // usable + 1) * len(program.checks)


def _length(program: Program) -> int:
    return next(n.size for n in program.nodes if n.label == "delta")


def _shared(name: str, count: int, program: Program, usable: int) -> tuple[int, int, int]:
    """Rows of a shard, its vectors, and columns of the average's vector."""
    length, every = _length(program), digit_columns(program, usable)
    columns = length // usable + 1
    vectors = -(-every // count)
    if -(-every // vectors) != count:
        raise CallerError(
            f"{name}: {every} columns of digits cannot be shared out over {count} proofs of equal size",
            hint=f"plonk.shards = {-(-every // vectors)}",
        )
    return (length if columns == 1 else usable), vectors, columns


def _column(committer: Committer, rows: int) -> Point:
    """P of a column of ones."""
    return committer.ones(rows)[0]
