"""Lowerings of ONNX ops, one module a kind. Importing this package fills the registry."""

from fedproof.lowering.ops import arithmetic, functions, movement, products, rectifiers, reductions

__all__ = ["arithmetic", "functions", "movement", "products", "rectifiers", "reductions"]
