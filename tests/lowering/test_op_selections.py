"""Maxima with their first places, and one-hot rows of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_cases import agree, float_graph, lower, node
from op_cases import holds

from fedproof.errors import CallerError
from fedproof.lowering import Program, UnsupportedOp, evaluate
from fedproof.lowering.selection import maximum

pytestmark = pytest.mark.reference

few = settings(max_examples=12, deadline=None)


def max_last(x):
    """Values and the one-hot of the first maximum, as float's function says."""
    return [x.max(-1), np.eye(x.shape[-1])[x.argmax(-1)]]


def max_graph(shape):
    return float_graph(
        [node("MaxLast", ["x"], ["v", "h"], domain="fedproof")], {"x": shape}, outputs=("v", "h")
    )


@few
@given(st.sampled_from([(1, 3), (2, 4), (2, 2, 5), (1, 9), (3, 1)]), st.integers(0, 2**32))
def test_the_first_maximum(shape, seed):
    """Few values, so that most rows have several maxima."""
    x = np.random.default_rng(seed).integers(-2, 3, shape) / 16
    holds(max_graph(shape), {"x": x}, expected=max_last(x))


def test_maxima_far_apart():
    x = np.array([[-128.0, 127.9375], [127.9375, -128.0]])
    holds(max_graph((2, 2)), {"x": x}, expected=max_last(x))


@pytest.mark.parametrize("place", range(4))
def test_no_other_place_passes(place):
    """Every one-hot row but that of the first maximum breaks a claim, also at equal maxima."""
    row = np.array([[3, 5, 5, 1]])
    p = Program(6)
    _, h = maximum(p, p.input("x", (1, 4), 0, 5), 5, "most")
    other = np.eye(4, dtype=np.int64)[[place]]
    later = np.tril(np.ones((4, 4), dtype=np.int64), -1)
    order = (other * row).sum() - row - other @ later
    assert bool((order >= 0).all()) == (place == 1)
    np.testing.assert_array_equal(agree(p, {"x": row})[h.id], [[0, 1, 0, 0]])


def one_hot_graph(shape, depth):
    return float_graph([node("OneHot", ["x"], domain="fedproof", depth=depth)], {"x": shape})


@few
@given(st.sampled_from([(3,), (2, 4)]), st.integers(1, 7), st.integers(0, 2**32))
def test_one_hot(shape, depth, seed):
    ids = np.random.default_rng(seed).integers(0, depth, shape).astype(float)
    holds(one_hot_graph(shape, depth), {"x": ids}, expected=[np.eye(depth)[ids.astype(int)]])


@pytest.mark.parametrize("bad", [-1.0, 5.0, 0.5])
def test_a_number_without_a_place_is_named(bad):
    program, _, _ = lower(one_hot_graph((3,), 5))
    with pytest.raises(
        CallerError, match=rf"element 1 is {bad:g}, which is none of the whole numbers 0 to 4"
    ):
        evaluate(program, {"x": np.array([16, int(bad * 16), 32])})


def test_onnx_ops_of_the_same_names_are_not_these():
    with pytest.raises(UnsupportedOp, match="no lowering"):
        lower(float_graph([node("OneHot", ["x"], depth=3)], {"x": (3,)}))
