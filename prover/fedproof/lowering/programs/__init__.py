"""The statements Fedproof proves, as integer programs, one module a kind of circuit."""

from fedproof.lowering.programs.average import average_program, digits_program
from fedproof.lowering.programs.forward import evaluation_program, inference_program
from fedproof.lowering.programs.parts import SALT_BITS, batch_shift, salt_length
from fedproof.lowering.programs.training import step_bound, training_program

__all__ = [
    "SALT_BITS",
    "average_program",
    "batch_shift",
    "digits_program",
    "evaluation_program",
    "inference_program",
    "salt_length",
    "step_bound",
    "training_program",
]
