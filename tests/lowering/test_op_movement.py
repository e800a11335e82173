"""Gathers, pads, slices with steps, joins with constants, reductions: elements move and add up, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from lowering_cases import float_graph, lower, node
from op_cases import holds

from fedproof.lowering import UnsupportedOp

pytestmark = pytest.mark.reference

X = np.random.default_rng(0).integers(-40, 40, (2, 3, 4)) / 16
SHAPE = {"x": (2, 3, 4)}


def ints(*values):
    return np.array(values, dtype=np.int64)


CASES = {
    "gather rows": ([node("Gather", ["x", "i"])], {"i": ints(1, 0, 1)}),
    "gather a matrix of places": ([node("Gather", ["x", "i"], axis=-1)], {"i": np.array([[0, -1], [2, 2]])}),
    "gather one": ([node("Gather", ["x", "i"], axis=1)], {"i": np.array(2)}),
    "gather with zeros": (
        [node("Concat", ["x", "z"], "j", axis=-1), node("Gather", ["j", "i"], axis=-1)],
        {"z": np.zeros((2, 3, 1), np.float32), "i": ints(4, 0, 4, 3, 1)},
    ),
    "one place many times": (
        [node("Gather", ["x", "i"], axis=2)],
        {"i": ints(*[2] * 19, 0, 1, 0, 1, *[2] * 4)},
    ),
    "two places many times": ([node("Gather", ["x", "i"], axis=2)], {"i": ints(*[3, 1] * 12)}),
    "join with constants": (
        [node("Concat", ["c", "x", "c"], axis=1)],
        {"c": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 1, 4).round(1) * 0 + 0.25},
    ),
    "expand": ([node("Expand", ["x", "s"])], {"s": ints(5, 2, 3, 4)}),
    "expand and sum": (
        [
            node("ReduceSum", ["x", "a"], "t", keepdims=1),
            node("Expand", ["t", "s"], "e"),
            node("Mul", ["e", "x"]),
        ],
        {"a": ints(1), "s": ints(2, 3, 4)},
    ),
    "pad": ([node("Pad", ["x", "w"])], {"w": ints(0, 1, 2, 1, 0, 1)}),
    "pad and cut": ([node("Pad", ["x", "w", "v"])], {"w": ints(0, -1, 2, 0, 0, -1), "v": np.float32(0.5)}),
    "every second": (
        [node("Slice", ["x", "a", "b", "d", "s"])],
        {"a": ints(0, 0), "b": ints(2, 99), "d": ints(0, -1), "s": ints(1, 2)},
    ),
    "backwards": (
        [node("Slice", ["x", "a", "b", "d", "s"])],
        {"a": ints(-1), "b": ints(-99), "d": ints(2), "s": ints(-1)},
    ),
    "backwards to the second": (
        [node("Slice", ["x", "a", "b", "d", "s"])],
        {"a": ints(99), "b": ints(0), "d": ints(1), "s": ints(-1)},
    ),
    "mean": ([node("ReduceMean", ["x"], axes=[0, 2], keepdims=0)], {}),
    "mean of all": ([node("ReduceMean", ["x"], keepdims=1)], {}),
    "flatten from behind": ([node("Flatten", ["x"], axis=-1)], {}),
    "squeeze": ([node("Unsqueeze", ["x", "a"], "u"), node("Squeeze", ["u", "a"])], {"a": ints(1)}),
}


@pytest.mark.parametrize("name", CASES)
def test_movement(name):
    nodes, constants = CASES[name]
    # 1/6 and 1/24 are no numbers of few bits.
    error = {"mean": 2.0**-10, "mean of all": 2.0**-10}.get(name, 0)
    holds(float_graph(nodes, SHAPE, constants), {"x": X}, error=error)


def test_constants_move_before_anything_is_computed():
    nodes = [
        node("Reshape", ["c", "s"], "r"),
        node("Transpose", ["r"], "t", perm=[1, 0]),
        node("Expand", ["t", "e"], "w"),
        node("Add", ["x", "w"]),
    ]
    c = np.arange(12, dtype=np.float32) / 16
    holds(float_graph(nodes, SHAPE, {"c": c, "s": ints(4, 3), "e": ints(2, 3, 4)}), {"x": X})


def test_predicates_move_like_tensors():
    nodes = [
        node("Greater", ["x", "zero"], "m"),
        node("Reshape", ["m", "s"], "r"),
        node("Gather", ["r", "i"], "g", axis=1),
        node("Expand", ["g", "e"], "w"),
        node("Split", ["w"], ["a", "b"], axis=0),
        node("Cast", ["a"], to=1),
        node("Cast", ["b"], "other", to=1),
    ]
    constants = {"zero": np.float32(0), "s": ints(6, 4), "i": ints(0, 2), "e": ints(2, 6, 2)}
    holds(float_graph(nodes, SHAPE, constants, ("out", "other")), {"x": X})


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Gather", ["x", "i"])], {"i": ints(2)}, "indices from 2 to 2 of 2 elements"),
        ([node("Gather", ["x", "x"])], {}, "must be a constant"),
        ([node("Pad", ["x", "w"], mode="reflect")], {"w": ints(0, 0, 0, 0, 0, 1)}, "only constant"),
        ([node("Concat", ["c", "c"], axis=0)], {"c": np.zeros(2, np.float32)}, "must be a tensor"),
    ],
)
def test_what_is_refused(nodes, constants, message):
    with pytest.raises(UnsupportedOp, match=message):
        lower(float_graph(nodes, SHAPE, constants))
