"""The smallest training step: one parameter, one sample, squared loss."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fedproof.lowering import Numbers, Program, training_program

NUMBERS = Numbers(
    table=6, weights=4, inputs=4, targets=4, activations=4, gradients=8, range=6, step=6, model=6
)
#: A point at which every value is in range. The salt is one element a bit of the 130 it needs: 22 of 6 bits.
TINY = {"model": [0], "x": [[5]], "y": [[-6]], "step_salt": [3] * 22}


def tiny_graph():
    """step = (x * model - y) * x, one parameter."""

    def declare(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    return helper.make_graph(
        [
            helper.make_node("Reshape", ["model", "matrix"], ["w"]),
            helper.make_node("MatMul", ["x", "w"], ["prediction"]),
            helper.make_node("Sub", ["prediction", "y"], ["error"]),
            helper.make_node("MatMul", ["x", "error"], ["gradient"]),
            helper.make_node("Reshape", ["gradient", "flat"], ["step"]),
        ],
        "tiny",
        [declare("model", [1]), declare("x", [1, 1]), declare("y", [1, 1])],
        [declare("step", [1])],
        [
            numpy_helper.from_array(np.array([1, 1]), "matrix"),
            numpy_helper.from_array(np.array([1]), "flat"),
        ],
    )


def tiny_step(weights: int = NUMBERS.weights) -> Program:
    """The step, rounded to so many fractional bits: 4 of them divide it, with 12 it is exact."""
    return training_program(tiny_graph(), NUMBERS.model_copy(update={"weights": weights}))
