"""Lowering: float ONNX to integer programs, and those to reference and circuit graphs."""

from fedproof.lowering.circuit import circuit_graph
from fedproof.lowering.context import UnsupportedOp
from fedproof.lowering.evaluate import div_round, evaluate
from fedproof.lowering.gadgets import quantize
from fedproof.lowering.ir import Check, Node, Program, Slot
from fedproof.lowering.numbers import Numbers
from fedproof.lowering.programs import average_program, salt_length, training_program
from fedproof.lowering.reference import reference_graph

__all__ = [
    "Check",
    "Node",
    "Numbers",
    "Program",
    "Slot",
    "UnsupportedOp",
    "average_program",
    "circuit_graph",
    "div_round",
    "evaluate",
    "quantize",
    "reference_graph",
    "salt_length",
    "training_program",
]
