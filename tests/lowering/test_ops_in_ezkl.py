"""One circuit of each family of ops in ezkl: what gen_witness computes is what the claims say."""

from __future__ import annotations

import numpy as np
import pytest
from field_model import given_tensors
from lowering_cases import float_graph, lower, node
from op_cases import whole

from fedproof.lowering import evaluate

pytestmark = pytest.mark.witness

ZERO, HALF = {"zero": np.float32(0)}, {"half": np.float32(0.5)}
FAMILIES = {
    "convolution": (
        [node("Conv", ["x", "w", "b"], strides=[2, 1], pads=[1, 0, 1, 1], group=2)],
        {"x": (2, 2, 4, 4), "w": (4, 1, 3, 2), "b": (4,)},
        {},
    ),
    "transposed convolution": (
        [node("ConvTranspose", ["x", "w"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])],
        {"x": (1, 2, 3, 3), "w": (2, 3, 3, 3)},
        {},
    ),
    "batched product": ([node("MatMul", ["a", "b"])], {"a": (2, 3, 4), "b": (2, 4, 5)}, {}),
    "clip and its gradient": (
        [
            node("Clip", ["x", "zero", "half"], "c"),
            node("Less", ["x", "half"], "m"),
            node("Where", ["m", "x", "zero"], "w"),
            node("Add", ["c", "w"]),
        ],
        {"x": (3, 4)},
        ZERO | HALF,
    ),
    "choice between tensors": (
        [node("GreaterOrEqual", ["x", "half"], "m"), node("Where", ["m", "x", "y"])],
        {"x": (3, 4), "y": (3, 4)},
        HALF,
    ),
    "maximum": ([node("MaxLast", ["x"], ["out", "h"], domain="fedproof")], {"x": (4, 4)}, {}),
    "one-hot": ([node("OneHot", ["ids"], domain="fedproof", depth=3)], {"ids": (4,)}, {}),
    "division": ([node("Div", ["x", "positive"])], {"x": (3, 4), "positive": (3, 1)}, {}),
    "gathers and zeros": (
        [node("Concat", ["x", "z"], "j", axis=1), node("Gather", ["j", "i"], axis=1)],
        {"x": (3, 4)},
        {"z": np.zeros((3, 1), np.float32), "i": np.array([[4, 3], [0, 4], [1, 1]])},
    ),
    "constants of their own": (
        [node("Mul", ["x", "c"], "m"), node("Add", ["m", "half"])],
        {"x": (2, 3, 2)},
        {"c": np.array([[0.5], [-1.25], [3]], np.float32)} | HALF,
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_in_ezkl(name, in_ezkl):
    nodes, shapes, constants = FAMILIES[name]
    program, inputs, outputs = lower(float_graph(nodes, shapes, constants))
    whole(program, inputs, outputs)
    rng = np.random.default_rng(0)
    arrays = {n: rng.integers(-24, 24, s) for n, s in shapes.items()}
    # Whole numbers below 3 at 4 fractional bits, and divisors.
    special = {"ids": rng.integers(0, 3, 4) * 16, "positive": rng.integers(5, 90, (3, 1))}
    arrays |= {n: v for n, v in special.items() if n in shapes}
    given = given_tensors(program, evaluate(program, arrays))
    circuit = in_ezkl(program, 13)
    assert circuit.settings["required_range_checks"] == []
    total, challenge = circuit.outputs(given, r := 0x1234567890ABCDEF1234567890ABCDEF)
    assert total == [program.lookups]
    assert challenge == [r]
