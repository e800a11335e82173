"""Points as bytes, and the arithmetic of commitments."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedproof.commitments import (
    INFINITY,
    SCALAR_MODULUS,
    InvalidPoint,
    Point,
    add,
    mul,
    neg,
    read_commitments,
    sub,
    weighted_sum,
)
from fedproof.commitments.curve import multiply
from fedproof.commitments.field import BASE_MODULUS
from fedproof.errors import CallerError, InvalidProof

pytestmark = pytest.mark.reference

R = SCALAR_MODULUS
G = Point(1, 2)
logs = st.integers(0, R - 1)


def point(log):
    return Point(*multiply(G, log))


def commitment(*exponents):
    return tuple(point(log) for log in exponents)


@settings(max_examples=25, deadline=None)
@given(st.one_of(logs, st.just(0)))
def test_bytes_round_trip(log):
    p = point(log)
    assert Point.from_bytes(p.to_bytes()) == p
    assert Point.from_compressed(p.to_compressed()) == p
    assert Point.from_compressed("0x" + p.to_compressed().hex()) == p
    assert Point.checked(*p) == p


def test_byte_order():
    assert G.to_bytes() == bytes(31) + b"\1" + bytes(31) + b"\2"
    assert INFINITY.to_bytes() == bytes(64)
    # y = 2 is even; its opposite is odd, which the top bit of the last byte says.
    assert G.to_compressed() == b"\1" + bytes(31)
    assert neg((G,))[0].to_compressed() == b"\1" + bytes(30) + b"\x80"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(63), "64 bytes, not 63"),
        (bytes(63) + b"\1", "not a point"),
        ((1 + BASE_MODULUS).to_bytes(32, "big") + bytes(31) + b"\2", "not a point"),
        (b"\xff" * 64, "not a point"),
    ],
)
def test_bytes_that_are_no_point(data, message):
    with pytest.raises(InvalidPoint, match=message):
        Point.from_bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(31), "32 bytes, not 31"),
        ("zz", "not the hex"),
        (b"\4" + bytes(31), "not a point"),
        (b"\1" + bytes(30) + b"\x40", "form of infinity"),
        (bytes(31) + b"\xc0", "form of infinity"),
        ((1 + BASE_MODULUS).to_bytes(32, "little"), "not a point"),
    ],
)
def test_compressed_bytes_that_are_no_point(data, message):
    with pytest.raises(InvalidPoint, match=message):
        Point.from_compressed(data)


@settings(max_examples=25, deadline=None)
@given(logs, logs, logs, logs, st.integers(-(2**260), 2**260))
def test_arithmetic_goes_column_by_column(a, b, c, d, scalar):
    left, right = commitment(a, b), commitment(c, d)
    assert add(left, right) == commitment(a + c, b + d)
    assert sub(left, right) == commitment(a - c, b - d)
    assert neg(left) == commitment(-a, -b)
    assert mul(left, scalar) == commitment(a * scalar, b * scalar)
    assert sub(left, left) == (INFINITY, INFINITY)
    assert add(left, left) == mul(left, 2)


def test_weighted_sums():
    rng = random.Random(3)
    exponents = [(rng.randrange(R), rng.randrange(R)) for _ in range(5)]
    weights = [0, 1, -7, 2**24, R - 1]
    expected = commitment(*(sum(w * e[i] for w, e in zip(weights, exponents, strict=True)) for i in range(2)))
    assert weighted_sum([commitment(*e) for e in exponents], weights) == expected


def test_different_numbers_of_columns_do_not_add():
    for operation in (add, sub, lambda a, b: weighted_sum([a, b], [1, 1])):
        with pytest.raises(InvalidProof, match="1 and 2 columns"):
            operation(commitment(1), commitment(1, 2))


def test_sums_that_make_no_sense():
    with pytest.raises(CallerError, match="no commitments"):
        weighted_sum([], [])
    with pytest.raises(CallerError, match="1 commitments and 2 weights"):
        weighted_sum([commitment(1)], [1, 2])


def test_commitments_are_read_from_proof_bytes():
    points = [point(n) for n in (5, 6, 7, 8)]
    proof = b"".join(p.to_bytes() for p in points) + b"the rest"
    assert read_commitments(proof, [1, 2]) == [(points[0],), (points[1], points[2])]
    assert read_commitments(proof, []) == []
    with pytest.raises(InvalidPoint, match="264 bytes; its commitments alone take 320"):
        read_commitments(proof, [2, 3])
    with pytest.raises(InvalidPoint, match="not a point"):
        read_commitments(b"\1" + proof, [1])
