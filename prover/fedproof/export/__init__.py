"""Export: a PyTorch module with its loss becomes one training step as a float ONNX graph."""

from fedproof.export.graphs import export_forward, export_step
from fedproof.export.load import load_attribute
from fedproof.export.optimiser import SGD, Optimiser
from fedproof.export.step import TrainingStep, flat_parameters

__all__ = [
    "SGD",
    "Optimiser",
    "TrainingStep",
    "export_forward",
    "export_step",
    "flat_parameters",
    "load_attribute",
]
