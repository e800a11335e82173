"""Export: a PyTorch module with its loss becomes one training step as a float ONNX graph."""

from fedproof.export.step import TrainingStep, export_step, flat_parameters, load_attribute

__all__ = ["TrainingStep", "export_step", "flat_parameters", "load_attribute"]
