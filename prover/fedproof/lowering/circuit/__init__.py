"""The circuit graph: an integer program over the field, as ONNX at scale 0 for ezkl."""

from fedproof.lowering.circuit.graph import circuit_graph, exposed

__all__ = ["circuit_graph", "exposed"]
