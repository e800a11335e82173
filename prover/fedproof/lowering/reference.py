"""The reference graph: the program in int64, with real divisions, for onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fedproof.lowering.emit import INT64, Emitter
from fedproof.lowering.ir import IntArray, Node, Program


class ReferenceEmitter(Emitter):
    """Hints are computed as an honest prover computes them."""

    def numbers(self, values: IntArray) -> onnx.TensorProto:
        """Integers as int64."""
        return numpy_helper.from_array(np.asarray(values, dtype=np.int64))

    def source(self, node: Node) -> str:
        """Declared inputs are graph inputs; hints are floor divisions and comparisons."""
        if node.op == "input":
            return self.op("Identity", [node.attr("name")], self.name(node))
        x = self.name(self.program.nodes[node.inputs[0]])
        out = self.name(node)
        match node.attr("kind"):
            case "div_round":
                q = node.attr("q")
                return self._floor_shift(x, 2 ** (q - 1), q, out)
            case "high_limb":
                return self._floor_shift(x, 0, node.attr("q"), out)
            case "positive":
                above = self.op("Greater", [x, self.constant(np.array(0))], f"{out}_above")
                return self.op("Cast", [above], out, to=TensorProto.INT64)
        raise AssertionError(f"lowering bug: unknown hint {node.attr('kind')}")

    def _floor_shift(self, x: str, offset: int, q: int, out: str) -> str:
        # ONNX Div truncates towards zero; Mod takes the sign of the divisor, so x - x mod 2**q is a floor.
        modulus = self.constant(np.array(2**q))
        shifted = self.op("Add", [x, self.constant(np.array(offset))], f"{out}_shifted")
        low = self.op("Mod", [shifted, modulus], f"{out}_low")
        exact = self.op("Sub", [shifted, low], f"{out}_exact")
        return self.op("Div", [exact, modulus], out)


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
