"""Commitments from the SRS alone, against the same thing computed in the exponent with a known secret."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from srs_forge import SECRET, SMALL_K, lagrange_at

from fedproof.commitments import (
    INFINITY,
    SCALAR_MODULUS,
    CommitmentMismatch,
    Committer,
    Point,
    add,
    mul,
    sub,
    weighted_sum,
)
from fedproof.commitments.curve import multiply
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference

R = SCALAR_MODULUS
BASIS = lagrange_at(SECRET, SMALL_K)
USABLE = 26


def in_the_exponent(column, *, tail):
    exponent = sum(v * b for v, b in zip(column, BASIS, strict=False)) + tail * sum(BASIS[USABLE:])
    return Point(*multiply((1, 2), exponent))


elements = st.one_of(st.integers(-(2**16), 2**16), st.integers(1 - R, R - 1))


@settings(max_examples=25, deadline=None)
@given(st.lists(elements, max_size=3 * USABLE + 1))
def test_a_commitment_is_the_polynomial_at_the_secret(small_srs, vector):
    committer = Committer(small_srs, SMALL_K)
    columns = [vector[i : i + USABLE] for i in range(0, len(vector) + 1, USABLE)]
    assert committer.columns(len(vector)) == len(columns)
    assert committer.pure(vector) == tuple(in_the_exponent(c, tail=0) for c in columns)
    assert committer.full(vector) == tuple(in_the_exponent(c, tail=1) for c in columns)


def test_sizes_and_the_tail(committer):
    assert (committer.logrows, committer.usable_rows) == (SMALL_K, USABLE)
    assert committer.tail == in_the_exponent([], tail=1)
    assert committer.full([]) == committer.full([0] * 5) == (committer.tail,)
    assert committer.pure([]) == committer.pure([0] * 5) == (INFINITY,)
    assert [committer.columns(n) for n in (0, 25, 26, 27, 51, 52)] == [1, 1, 2, 2, 2, 3]


def test_pure_commitments_are_linear(committer):
    rng = np.random.default_rng(4)
    x, y = rng.integers(-(2**30), 2**30, (2, 60))
    assert add(committer.pure(x), committer.pure(y)) == committer.pure(x + y)
    assert sub(committer.pure(x), committer.pure(y)) == committer.pure(x - y)
    assert mul(committer.pure(x), -12345) == committer.pure(-12345 * x)
    assert weighted_sum([committer.pure(x), committer.pure(y)], [3, 1 << 20]) == committer.pure(
        3 * x + (y << 20)
    )
    assert add(committer.full(x), committer.full(y)) != committer.full(x + y)


def test_rounding_an_average_is_linear_in_what_a_contract_knows(committer):
    """P(ρ) = P(S) + 2^(t-1) P(1) - 2^t P(Δ) for ρ = S + 2^(t-1) - 2^t Δ."""
    t, length = 8, 40
    total = np.random.default_rng(5).integers(-(2**20), 2**20, length)
    delta = (total + 2 ** (t - 1)) >> t
    remainder = total + 2 ** (t - 1) - (delta << t)
    assert remainder.min() >= 0
    assert remainder.max() < 2**t
    terms = [committer.pure(total), committer.ones(length), committer.pure(delta)]
    assert weighted_sum(terms, [1, 2 ** (t - 1), -(2**t)]) == committer.pure(remainder)


def test_negative_numbers_are_taken_modulo_the_field(committer):
    assert committer.pure([-1, -5, 3]) == committer.pure([R - 1, R - 5, 3])


def test_every_kind_of_integer_vector(committer):
    expected = committer.pure([1, -2, 3])
    for vector in (
        (1, -2, 3),
        np.array([1, -2, 3]),
        np.array([1, -2, 3], dtype=np.int8),
        np.array([1, -2, 3], dtype=object),
        [np.int64(1), np.int32(-2), 3],
    ):
        assert committer.pure(vector) == expected
    assert committer.pure(np.array([2**64 - 1], dtype=np.uint64)) == committer.pure([2**64 - 1])


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0], r"element 0 of vector is 1\.0 \(float\)"),
        (np.array([1, 2.5]), r"element 0 of vector is 1\.0"),
        ([1, True], "element 1 of vector is True"),
        (np.array([True]), "element 0 of vector is True"),
        ([0, R], "outside the scalar field"),
        ([-R], "outside the scalar field"),
        (["1"], r"'1' \(str\)"),
        ([None], "None"),
        (np.zeros((2, 2), dtype=np.int64), r"the shape \(2, 2\)"),
        (7, "7, not a vector"),
        ("12", "'12', not a vector"),
    ],
)
def test_what_is_no_vector_of_integers(committer, vector, message):
    with pytest.raises(CallerError, match=message):
        committer.pure(vector)


def test_pure_and_full_convert(committer):
    vector = list(range(60))
    assert committer.to_full(committer.pure(vector)) == committer.full(vector)
    assert committer.to_pure(committer.full(vector)) == committer.pure(vector)


def test_openings_are_checked(committer):
    vector = list(range(60))
    opened = committer.pure(vector)
    committer.check_opening(vector, opened)
    committer.check_opening(np.array(vector), opened)
    # A commitment does not say how long the vector is: zeros at the end are free.
    committer.check_opening([*vector, 0], opened)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: [*v[:30], v[30] + 1, *v[31:]], "the update: column 1 of 3 does not match"),
        (lambda v: [v[1], v[0], *v[2:]], "column 0 of 3"),
        (lambda v: [-x for x in v], "column 0, 1, 2 of 3"),
        (lambda v: v[:30], "30 elements fill 2 columns, the commitment 3"),
        (lambda v: [*v, 1], "column 2 of 3"),
    ],
)
def test_another_vector_does_not_open_a_commitment(committer, change, message):
    vector = list(range(60))
    with pytest.raises(CommitmentMismatch, match=message):
        committer.check_opening(change(vector), committer.pure(vector), what="the update")


def test_a_vector_opens_no_full_commitment(committer):
    with pytest.raises(CommitmentMismatch):
        committer.check_opening([1, 2], committer.full([1, 2]))


def test_impossible_committers(small_srs, tmp_path):
    with pytest.raises(CallerError, match="k=5, not k=6"):
        Committer(small_srs, 6)
    with pytest.raises(CallerError, match="cannot read the SRS"):
        Committer(tmp_path / "none.srs", 5)
    with pytest.raises(CallerError, match="32 reserved rows do not fit the 32 rows"):
        Committer(small_srs, 5, reserved_rows=32)
    with pytest.raises(CallerError, match="-1 elements"):
        Committer(small_srs, 5).ones(-1)


def test_threads_may_share_a_committer(small_srs):
    committer = Committer(small_srs, SMALL_K)
    vectors = [list(range(1, n)) for n in (3, 20, 9, 26, 40, 2)] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(committer.pure, vectors))
    assert found == [Committer(small_srs, SMALL_K).pure(vector) for vector in vectors]
