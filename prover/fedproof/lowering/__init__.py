"""Lowering: float ONNX to integer programs, and those to reference and circuit graphs."""

from fedproof.lowering.circuit import circuit_graph
from fedproof.lowering.claims import Check, Equation, Slot
from fedproof.lowering.context import UnsupportedOp
from fedproof.lowering.evaluate import evaluate
from fedproof.lowering.gadgets import quantize
from fedproof.lowering.hints import div_round
from fedproof.lowering.ir import Node, Program
from fedproof.lowering.numbers import Numbers
from fedproof.lowering.partition import partition
from fedproof.lowering.programs import average_program, batch_shift, salt_length, step_bound, training_program
from fedproof.lowering.reference import reference_graph
from fedproof.lowering.segments import Cut, cut, shared

__all__ = [
    "Check",
    "Cut",
    "Equation",
    "Node",
    "Numbers",
    "Program",
    "Slot",
    "UnsupportedOp",
    "average_program",
    "batch_shift",
    "circuit_graph",
    "cut",
    "div_round",
    "evaluate",
    "partition",
    "quantize",
    "reference_graph",
    "salt_length",
    "shared",
    "step_bound",
    "training_program",
]
