"""Curve arithmetic and multi-scalar multiplication, against py_ecc and against known discrete logarithms."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_ecc.optimized_bn128 import G1, normalize
from py_ecc.optimized_bn128 import add as ecc_add
from py_ecc.optimized_bn128 import multiply as ecc_multiply

from fedproof.commitments.curve import (
    GENERATOR,
    INFINITY,
    add,
    add_pairs,
    double,
    is_on_curve,
    multiply,
    negate,
    to_affine,
    to_jacobian,
)
from fedproof.commitments.field import BASE_MODULUS, SCALAR_MODULUS, centred
from fedproof.commitments.msm import msm, sum_groups

pytestmark = pytest.mark.reference

R = SCALAR_MODULUS
scalars = st.one_of(
    st.integers(-4, 4), st.integers(-(2**40), 2**40), st.integers(R - 5, R + 5), st.integers(0, R - 1)
)


def by_ecc(scalar):
    point = normalize(ecc_multiply(G1, scalar % R))
    return INFINITY if not scalar % R else (int(point[0]), int(point[1]))


@settings(max_examples=25, deadline=None)
@given(scalars)
def test_multiples_of_the_generator(scalar):
    assert multiply(GENERATOR, scalar) == by_ecc(scalar) == msm([GENERATOR], [scalar])


@settings(max_examples=25, deadline=None)
@given(st.integers(-6, 6), st.integers(-6, 6))
def test_addition_of_equal_opposite_and_infinite_points(a, b):
    left, right = multiply(GENERATOR, a), multiply(GENERATOR, b)
    expected = by_ecc(a + b)
    assert add_pairs([left], [right]) == [expected]
    # Jacobian coordinates that are not normalised take the other branches.
    scaled = tuple(v * f % BASE_MODULUS for v, f in zip(to_jacobian(left), (4, 8, 2), strict=True))
    assert to_affine(add(scaled, to_jacobian(right))) == expected
    assert to_affine(add(to_jacobian(right), scaled)) == expected
    assert to_affine(double(scaled)) == by_ecc(2 * a)


def test_addition_agrees_with_py_ecc():
    rng = random.Random(1)
    for _ in range(10):
        a, b = rng.randrange(R), rng.randrange(R)
        x, y = normalize(ecc_add(ecc_multiply(G1, a), ecc_multiply(G1, b)))
        assert add_pairs([multiply(GENERATOR, a)], [multiply(GENERATOR, b)]) == [(int(x), int(y))]


def test_no_additions():
    assert add_pairs([], []) == []
    assert msm([], []) == INFINITY
    assert sum_groups({1: [GENERATOR, negate(GENERATOR)], 2: []}) == {}


@pytest.fixture(scope="module")
def points():
    """(logarithms, points): repeated, opposite and infinite ones among them."""
    rng = random.Random(2)
    logs = [rng.randrange(R) for _ in range(60)]
    logs += [logs[0], -logs[0], 0, logs[1], 1, -1] * 3
    return logs, [multiply(GENERATOR, log) for log in logs]


@pytest.mark.parametrize("bits", [1, 2, 7, 16, 40, 128, 254])
def test_sums_of_every_size_of_scalar(points, bits):
    logs, bases = points
    rng = random.Random(bits)
    values = [rng.randrange(-(1 << bits) + 1, 1 << bits) for _ in logs]
    assert msm(bases, values) == by_ecc(sum(a * b for a, b in zip(logs, values, strict=True)))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_mixed_scalars(points, data):
    logs, bases = points
    count = data.draw(st.integers(0, len(logs)))
    values = data.draw(st.lists(scalars, min_size=count, max_size=count))
    expected = by_ecc(sum(a * b for a, b in zip(logs[:count], values, strict=True)))
    assert msm(bases[:count], values) == expected


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="shorter"):
        msm([GENERATOR], [])


def test_progress_ends_at_one():
    seen = []
    msm([GENERATOR] * 3, [5, 2**200, -1], seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_on_curve():
    assert is_on_curve(*GENERATOR)
    assert is_on_curve(*INFINITY)
    assert not is_on_curve(1, 3)
    assert not is_on_curve(1 + BASE_MODULUS, 2)
    assert not is_on_curve(1, -2)


@given(st.integers())
def test_the_centred_representative(value):
    assert abs(centred(value)) <= R // 2
    assert (centred(value) - value) % R == 0
