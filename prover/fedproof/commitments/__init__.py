"""Linear commitments to integer vectors: the points that proofs carry and contracts add up."""

from fedproof.commitments.challenge import NO_CONTEXT, challenge
from fedproof.commitments.committer import RESERVED_ROWS, CommitmentMismatch, Committer
from fedproof.commitments.field import SCALAR_MODULUS, Integers
from fedproof.commitments.point import (
    INFINITY,
    POINT_BYTES,
    Commitment,
    InvalidPoint,
    Point,
    add,
    mul,
    neg,
    read_commitments,
    sub,
    weighted_sum,
)

__all__ = [
    "INFINITY",
    "NO_CONTEXT",
    "POINT_BYTES",
    "RESERVED_ROWS",
    "SCALAR_MODULUS",
    "Commitment",
    "CommitmentMismatch",
    "Committer",
    "Integers",
    "InvalidPoint",
    "Point",
    "add",
    "challenge",
    "mul",
    "neg",
    "read_commitments",
    "sub",
    "weighted_sum",
]
