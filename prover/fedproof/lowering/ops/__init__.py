"""Lowerings of ONNX ops, one module a kind. Importing this package fills the registry."""

from fedproof.lowering.ops import (
    arithmetic,
    choices,
    comparisons,
    convolutions,
    functions,
    joins,
    movement,
    products,
    rectifiers,
    reductions,
    selections,
)

__all__ = [
    "arithmetic",
    "choices",
    "comparisons",
    "convolutions",
    "functions",
    "joins",
    "movement",
    "products",
    "rectifiers",
    "reductions",
    "selections",
]
