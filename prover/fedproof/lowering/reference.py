"""The reference graph: the program in int64, with real divisions, for onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fedproof.lowering.emit import INT64, Emitter
from fedproof.lowering.hints import HINTS
from fedproof.lowering.ir import IntArray, Node, Program, Shape


class ReferenceEmitter(Emitter):
    """Hints are computed as an honest prover computes them."""

    def numbers(self, values: IntArray) -> onnx.TensorProto:
        """Integers as int64."""
        return numpy_helper.from_array(np.asarray(values, dtype=np.int64))

    def zeros(self, shape: Shape) -> str:
        """Zeros as a constant."""
        return self.constant(np.zeros(shape, dtype=np.int64))

    def source(self, node: Node) -> str:
        """Declared inputs are graph inputs; hints are floor divisions and comparisons."""
        if node.op == "input":
            return self.op("Identity", [node.attr("name")], self.name(node))
        args = [self.name(self.program.nodes[i]) for i in node.inputs]
        return HINTS[node.attr("kind")].emit(self, node, args, self.name(node))


def reference_graph(program: Program) -> onnx.ModelProto:
    """Return the int64 ONNX graph of ``program``: declared inputs in, every node's tensor out."""
    emitter = ReferenceEmitter(program)
    for node in program.nodes:
        emitter.emit(node)
    inputs = [
        helper.make_tensor_value_info(n.attr("name"), INT64, n.shape)
        for n in program.nodes
        if n.op == "input"
    ]
    outputs = [helper.make_tensor_value_info(emitter.name(n), INT64, n.shape) for n in program.nodes]
    return emitter.model("reference", inputs, outputs)
