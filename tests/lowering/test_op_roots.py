"""Square roots and their inverses, exact to the last bit for every argument that has one."""

from __future__ import annotations

from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_cases import agree, float_graph, node
from op_cases import holds, whole

from fedproof.errors import CallerError
from fedproof.lowering import Program, evaluate
from fedproof.lowering.roots import inverse_root, root

pytestmark = pytest.mark.reference

exactly = settings(deadline=None, max_examples=25, derandomize=True)


def graph(name, shape=(4,)):
    return float_graph([node(name, ["x"], domain="fedproof")], {"x": shape})


@exactly
@given(
    st.integers(0, 54), st.integers(0, 6), st.integers(0, 2**32), st.sampled_from([(3,), (2, 3), (1, 2, 2)])
)
def test_a_root_is_that_of_the_integers(bits, extra, seed, shape):
    """Squares of up to 62 bits, where float64 alone would be wrong, and right below them."""
    p = Program(8)
    x = p.input("x", shape, 4, bits + 2)
    y = root(p, x, 2 + extra // 2, "root")
    z = np.random.default_rng(seed).integers(0, 2**bits, shape, endpoint=True)
    z.ravel()[0] = max(0, isqrt(int(z.ravel()[0])) ** 2 - 1)
    found = agree(p, {"x": z})[y.id]
    assert y.scale == 2 + extra // 2
    exact = [isqrt(int(v) << (2 * y.scale - 4)) for v in z.ravel()]
    np.testing.assert_array_equal(found.ravel(), exact)


@exactly
@given(st.integers(0, 2**32), st.integers(0, 12))
def test_an_inverse_root_is_that_of_the_integers(seed, half):
    p = Program(8)
    x = p.input("x", (2, 3), 4, 12)
    y = inverse_root(p, x, 2 * half, "root")
    z = np.random.default_rng(seed).integers(1, 2**11, (2, 3))
    found = agree(p, {"x": z})[y.id]
    exact = [isqrt((1 << (2 * half)) // int(v)) for v in z.ravel()]
    np.testing.assert_array_equal(found.ravel(), exact)


@pytest.mark.parametrize("scale", [4, 5, 13, 18])
def test_a_root_far_beyond_any_table(scale):
    """At two bits more than an activation, or at half of the bits of its argument."""
    x = np.array([0.0, 2.25, 100.5, 511.75]) / 2 ** max(0, scale - 4)
    holds(graph("Table_sqrt"), {"x": x}, scale=scale, bits=16, expected=[np.sqrt(x)], error=2.0**-8)


def test_an_inverse_root_of_a_variance():
    x = np.array([0.0625, 0.5, 1.0, 40.0])
    holds(graph("Rsqrt"), {"x": x}, scale=4, expected=[x**-0.5], error=2.0**-8)


def test_what_is_negative_has_no_root():
    p = Program(8)
    root(p, p.input("x", (2,), 0, 8), 2, "norm")
    with pytest.raises(CallerError, match=r"norm rest limb 0: element \(1,\) is -48"):
        evaluate(p, {"x": np.array([9, -3])})


@pytest.mark.parametrize("x", range(40))
def test_no_other_root_passes(x):
    """Every y and every rest within its lookups: one pair fulfils the claims."""
    p = Program(4)
    y = root(p, p.input("x", (1,), 0, 7), 1, "root")
    values = evaluate(p, {"x": np.array([x])})
    z, wide = 4 * x, 2**8
    found = [i for i in range(-wide, wide) if 0 <= z - i * i < wide and 0 <= 2 * i - z + i * i < wide]
    assert found == [int(values[y.id][0])] == [isqrt(z)]


def test_it_is_a_whole_circuit_of_two_lookups_a_root():
    p = Program(8)
    x = p.input("x", (5,), 0, 8)
    whole(p, {"x": x}, {"y": root(p, x, 0, "root")})
    # One for x itself, one for what is left, one for what it is less than it could be.
    assert p.lookups == 3 * 5
