"""Comparisons, choices, rectifiers and clips: torch's answer at every threshold, one mask a comparison."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_cases import float_graph, lower, node
from op_cases import holds

from fedproof.errors import CallerError
from fedproof.lowering import UnsupportedOp, evaluate

pytestmark = pytest.mark.reference

few = settings(max_examples=8, deadline=None)
#: Four fractional bits: thresholds at, and on either side of, multiples of 1/16.
X = np.arange(-24, 24).reshape(6, 8) / 16
THRESHOLDS = [0.0, 0.5, -0.5, 1 / 16, -1 / 16, 0.03, -0.03, 0.531, 5.0, -5.0, 1e9]
OPS = ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"]


def kinds(program):
    return [h.attr("kind") for h in program.hints]


@pytest.mark.parametrize("c", THRESHOLDS)
@pytest.mark.parametrize("op", OPS)
def test_a_comparison_is_exact(op, c):
    nodes = [node(op, ["x", "c"], "m"), node("Cast", ["m"], to=1)]
    holds(float_graph(nodes, {"x": (6, 8)}, {"c": np.float32(c)}), {"x": X})


@few
@given(st.sampled_from(OPS), st.integers(0, 2**32))
def test_thresholds_of_their_own(op, seed):
    c = np.random.default_rng(seed).integers(-20, 20, (8,)).astype(np.float32) / 16 + 0.01 * (seed % 2)
    nodes = [node(op, ["x", "c"], "m"), node("Cast", ["m"], to=1)]
    holds(float_graph(nodes, {"x": (6, 8)}, {"c": c.astype(np.float32)}), {"x": X})


@pytest.mark.parametrize("op", OPS)
def test_two_tensors_compare_by_their_difference(op):
    nodes = [node(op, ["x", "y"], "m"), node("Cast", ["m"], to=1)]
    holds(float_graph(nodes, {"x": (6, 8), "y": (1, 8)}), {"x": X, "y": X[3:4]})


BRANCHES = [
    ("x", "y"),
    ("zero", "y"),
    ("y", "zero"),
    ("row", "y"),
    ("y", "two"),
    ("two", "zero"),
    ("row", "two"),
]


@pytest.mark.parametrize("op", ["Greater", "Less"])
@pytest.mark.parametrize("branches", BRANCHES)
def test_where(op, branches):
    nodes = [node(op, ["x", "half"], "m"), node("Where", ["m", *branches])]
    constants = {
        "half": np.float32(0.5),
        "zero": np.float32(0),
        "two": np.float32(2),
        "row": np.linspace(-2, 1.5, 8, dtype=np.float32),
    }
    shapes = {"x": (6, 8), "y": (6, 8)}
    y = np.random.default_rng(1).integers(-50, 50, (6, 8)) / 16
    used = {n: c for n, c in constants.items() if n in ("half", *branches)}
    names = {n: s for n, s in shapes.items() if n == "x" or n in branches}
    holds(float_graph(nodes, names, used), {"x": X, "y": y}, error=2.0**-9)


def test_where_broadcasts_all_three():
    nodes = [node("Greater", ["x", "zero"], "m"), node("Where", ["m", "y", "z"])]
    graph = float_graph(nodes, {"x": (3, 1, 2), "y": (4, 1), "z": (2,)}, {"zero": np.float32(0)})
    rng = np.random.default_rng(0)
    holds(graph, {n: rng.integers(-9, 9, s) / 16 for n, s in (("x", (3, 1, 2)), ("y", (4, 1)), ("z", (2,)))})


def test_a_constant_condition():
    graph = float_graph(
        [node("Where", ["m", "x", "y"])], {"x": (2, 2), "y": (2, 2)}, {"m": np.eye(2, dtype=bool)}
    )
    holds(graph, {"x": X[:2, :2], "y": X[4:, 6:]})


def test_logic_of_predicates():
    nodes = [
        node("Greater", ["x", "low"], "a"),
        node("Less", ["x", "high"], "b"),
        node("And", ["a", "b"], "both"),
        node("Not", ["both"], "outside"),
        node("Or", ["outside", "a"], "either"),
        node("Transpose", ["either"], "turned", perm=[1, 0]),
        node("Cast", ["turned"], "out", to=1),
        node("Cast", ["both"], "inside", to=1),
        node("Cast", ["a"], "an", to=1),
        node("Cast", ["b"], "bn", to=1),
        node("Mul", ["an", "bn"], "product"),
        node("Greater", ["product", "high"], "again"),
        node("Cast", ["again"], "second", to=1),
    ]
    graph = float_graph(
        nodes, {"x": (6, 8)}, {"low": np.float32(-0.5), "high": np.float32(0.5)}, ["out", "inside", "second"]
    )
    program = holds(graph, {"x": X})
    assert kinds(program).count("positive") == 2  # a product of masks needs no comparison


#: Above the one is at the other.
ONE_STEP = (0.0, 1 / 16)
LIMITS = [
    ONE_STEP,
    (-1.0, 1.0),
    (0.0, 6.0),
    (-0.03, 0.03),
    (-0.28, 0.53),
    (-9.0, 9.0),
    (None, 0.5),
    (-0.5, None),
]


@pytest.mark.parametrize("limits", LIMITS)
def test_clip_and_its_gradient_share_their_masks(limits):
    """Limits between two integers are rounded; the masks of the gradient are those of the clip."""
    given = {n: np.float32(v) for n, v in zip(("low", "high"), limits, strict=True) if v is not None}
    names = [n if n in given else "" for n in ("low", "high")]
    nodes, outputs = [node("Clip", ["x", *names], "y")], ["y"]
    for n, op in (("low", "Greater"), ("high", "Less")):
        if n in given:
            nodes += [node(op, ["x", n], f"{n}_m"), node("Cast", [f"{n}_m"], f"{n}_out", to=1)]
            outputs.append(f"{n}_out")
    program = holds(float_graph(nodes, {"x": (6, 8)}, given, outputs), {"x": X}, error=1 / 32)
    assert kinds(program).count("positive") == (1 if limits == ONE_STEP else len(given))


def test_clip_is_exact_at_representable_limits():
    limits = {"low": np.float32(-0.5), "high": np.float32(0.75)}
    holds(float_graph([node("Clip", ["x", "low", "high"])], {"x": (6, 8)}, limits), {"x": X})


@pytest.mark.parametrize("op", ["Relu", "Abs", "Sign"])
def test_functions_of_one_tensor(op):
    program = holds(float_graph([node(op, ["x"])], {"x": (6, 8)}), {"x": X})
    assert kinds(program).count("positive") == (2 if op == "Sign" else 1)


@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("second", ["y", "c"])
def test_larger_and_smaller(op, second):
    shapes = {"x": (6, 8)} | ({"y": (8,)} if second == "y" else {})
    graph = float_graph([node(op, ["x", second])], shapes, {} if second == "y" else {"c": np.float32(0.25)})
    holds(graph, {"x": X, "y": X[2]})


def test_leaky_relu_as_it_is_exported():
    nodes = [
        node("Relu", ["x"], "r"),
        node("Mul", ["x", "slope"], "a"),
        node("Mul", ["r", "rest"], "b"),
        node("Add", ["a", "b"]),
    ]
    graph = float_graph(nodes, {"x": (6, 8)}, {"slope": np.float32(0.25), "rest": np.float32(0.75)})
    holds(graph, {"x": X})


def test_a_wide_argument_takes_more_limbs():
    """At 12 bits an argument needs two lookups of 8 bits, and is compared exactly all the same."""
    x = np.array([-127.9375, -0.0625, 0, 0.0625, 100, 127])
    holds(float_graph([node("Relu", ["x"])], {"x": (6,)}), {"x": x})


def test_a_product_is_rescaled_once_for_all_comparisons():
    nodes = [
        node("Mul", ["x", "x"], "xx"),
        node("Relu", ["xx"], "r"),
        node("Greater", ["xx", "zero"], "m"),
        node("Where", ["m", "x", "zero"], "w"),
        node("Add", ["r", "w"]),
    ]
    program = holds(float_graph(nodes, {"x": (6, 8)}, {"zero": np.float32(0)}), {"x": np.round(X * 8) / 8})
    assert kinds(program).count("positive") == 1
    assert kinds(program).count("div_round") == 1


def test_what_is_refused():
    cases = [
        ([node("Cast", ["x"], to=9)], {}, "compare it"),
        ([node("Cast", ["x"], to=7)], {}, "not rounded to integers"),
        ([node("Not", ["x"])], {}, "from a comparison"),
        ([node("Clip", ["x", "a", "b"])], {"a": np.float32(1), "b": np.float32(1)}, "nothing lies between"),
        ([node("Clip", ["x", "a"])], {"a": np.arange(8, dtype=np.float32)}, "one number"),
        ([node("Greater", ["a", "b"])], {"a": np.float32(1), "b": np.float32(1)}, "must be a tensor"),
        ([node("Max", ["x", "x", "x"])], {}, "3 operands"),
    ]
    for nodes, constants, message in cases:
        with pytest.raises(UnsupportedOp, match=message):
            lower(float_graph(nodes, {"x": (6, 8)}, constants))


def test_an_argument_beyond_its_range_is_named():
    nodes = [node("Mul", ["x", "x"], "xx"), node("Mul", ["xx", "xx"], "y"), node("Relu", ["y"])]
    program, inputs, _ = lower(float_graph(nodes, {"x": (1,)}))
    with pytest.raises(CallerError, match="outside"):
        evaluate(program, {"x": np.array([2000])})
    assert inputs["x"].bound == 2048
