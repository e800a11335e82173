"""Commitments of integer vectors, computed from the SRS alone: neither a circuit nor ezkl is needed.

ezkl lays a vector out in columns of ``usable_rows`` elements and fills the last rows of each column, which
halo2 reserves for blinding, with ones. So the commitment in a proof is C(v) = P(v) + T column by column: P is
linear in v, and the tail T is a constant of the SRS.
"""

from __future__ import annotations

from pathlib import Path

from fedproof.commitments.curve import Affine
from fedproof.commitments.field import Integers, integer_vector
from fedproof.commitments.msm import msm
from fedproof.commitments.point import Commitment, Point, add, sub
from fedproof.errors import CallerError, InvalidProof
from fedproof.srs.layout import SrsFile, open_srs

RESERVED_ROWS = 6
"""Rows at the end of a column that halo2 keeps: 5 blinding factors and one more, in all circuits made here.

It would grow in a circuit that reads one column at more than three offsets; ``Committer.check_circuit`` finds
out.
"""


class CommitmentMismatch(InvalidProof):
    """A vector is not the one behind a commitment."""


class Committer:
    """Commits to vectors under one SRS.

    ``srs_path`` is an SRS of exactly ``logrows`` (2^logrows rows). Its points are checked to be on the curve
    as they are read; whether it is the right SRS is the business of ``SrsStore``.
    Raises CallerError when the file is missing, of another k or too small for a column.
    """

    def __init__(self, srs_path: Path | str, logrows: int, *, reserved_rows: int = RESERVED_ROWS) -> None:
        self._srs: SrsFile = open_srs(srs_path, logrows)
        if not 0 < reserved_rows < self._srs.rows:
            raise CallerError(
                f"{reserved_rows} reserved rows do not fit the {self._srs.rows} rows of k={logrows}"
            )
        self._reserved_rows = reserved_rows
        self._basis: list[Affine] = []
        self._tail: Point | None = None

    @property
    def logrows(self) -> int:
        """k: columns have 2^k rows."""
        return self._srs.logrows

    @property
    def usable_rows(self) -> int:
        """Elements that fit one column."""
        return self._srs.rows - self._reserved_rows

    @property
    def tail(self) -> Point:
        """T: the commitment of the zero vector, for one column."""
        if self._tail is None:
            rows = self._srs.lagrange(self.usable_rows, self._srs.rows)
            self._tail = Point(*msm(rows, [1] * len(rows)))
        return self._tail

    def columns(self, length: int) -> int:
        """Points in the commitment of a vector of ``length`` elements.

        As in ezkl, a vector that fills its columns exactly gets one more, empty column.
        """
        if length < 0:
            raise CallerError(f"a vector cannot have {length} elements")
        return length // self.usable_rows + 1

    def pure(self, vector: Integers) -> Commitment:
        """P(vector): linear, and what contracts store.

        ``vector`` is flat; elements are integers between -r and r, negative ones taken modulo r. Raises
        CallerError for anything else.
        """
        values = integer_vector(vector)
        usable = self.usable_rows
        columns = [values[usable * i : usable * (i + 1)] for i in range(self.columns(len(values)))]
        basis = self._rows(len(columns[0]))
        return tuple(Point(*msm(basis[: len(column)], column)) for column in columns)

    def full(self, vector: Integers) -> Commitment:
        """C(vector) = P(vector) + T: what a proof contains. Arguments and errors as for :meth:`pure`."""
        return self.to_full(self.pure(vector))

    def ones(self, length: int) -> Commitment:
        """P of the vector of ``length`` ones, which rounds the average on-chain."""
        self.columns(length)
        return self.pure([1] * length)

    def to_full(self, pure: Commitment) -> Commitment:
        """C from P: the tail is added to every column."""
        return add(pure, (self.tail,) * len(pure))

    def to_pure(self, full: Commitment) -> Commitment:
        """P from C: the tail is taken from every column."""
        return sub(full, (self.tail,) * len(full))

    def check_opening(self, vector: Integers, commitment: Commitment, *, what: str = "vector") -> None:
        """Check that ``commitment`` is P(vector), on receipt of a vector and before relying on it.

        Zeros at the end of a vector leave its commitment as it is: check the length separately.
        Raises CommitmentMismatch saying which column differs; ``what`` names the vector in the message.
        """
        found = self.pure(vector)
        if len(found) != len(commitment):
            raise CommitmentMismatch(
                f"{what}: {len(vector)} elements fill {len(found)} columns, the commitment {len(commitment)}"
            )
        wrong = [
            index for index, pair in enumerate(zip(found, commitment, strict=True)) if pair[0] != pair[1]
        ]
        if wrong:
            raise CommitmentMismatch(
                f"{what}: column {', '.join(map(str, wrong))} of {len(found)} does not match: committed to "
                f"{tuple(commitment[wrong[0]])}, the vector gives {tuple(found[wrong[0]])}",
                hint="the vector, its order, its salts or the SRS differ from what was committed to",
            )

    def check_circuit(self, verifying_key: Path | str, settings: Path | str) -> None:
        """Check that a compiled circuit commits as this committer does: same k, same reserved rows.

        Needs ezkl. Raises CommitmentMismatch when ezkl's commitments for that circuit differ.
        """
        from fedproof.commitments.ezkl_commit import ezkl_commitment  # noqa: PLC0415

        vector = [1, 2, 3]
        theirs = ezkl_commitment(vector, verifying_key, settings, self._srs.path)
        ours = self.full(vector)
        if theirs != ours:
            raise CommitmentMismatch(
                f"the circuit of {verifying_key} commits to another column layout than "
                f"{self._reserved_rows} reserved rows of 2^{self.logrows}: {theirs} instead of {ours}",
                hint="compile it for this k; reading a column at more than 3 offsets reserves more rows",
            )

    def _rows(self, count: int) -> list[Affine]:
        """At least the first ``count`` points of the Lagrange basis."""
        basis = self._basis
        if len(basis) < count:
            # A new list, so that threads that share a committer never see one half extended.
            basis = self._basis = basis + self._srs.lagrange(len(basis), count)
        return basis
