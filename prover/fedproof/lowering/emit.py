"""Emit an integer program as ONNX: the part that reference and circuit graphs share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fedproof.lowering.ir import IntArray, Node, Program, Shape
from fedproof.lowering.windows import emit_convolution

OPSET = 17
#: onnxruntime and ezkl's parser (tract) both read this IR version.
IR_VERSION = 8


class Emitter(ABC):
    """Writes ordinary nodes; subclasses say how numbers are typed and where inputs and hints come from."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}

    @abstractmethod
    def numbers(self, values: IntArray) -> onnx.TensorProto:
        """Integers as a typed ONNX tensor."""

    @abstractmethod
    def source(self, node: Node) -> str:
        """Emit an input or a hint; return its name."""

    @abstractmethod
    def zeros(self, shape: Shape) -> str:
        """Return the name of a tensor of zeros."""

    def times(self, x: str, node: Node) -> str:
        """Emit a product with a constant factor."""
        return self.op("Mul", [x, self.constant(np.array(node.attr("factor")))], self.name(node))

    def slice(self, x: str, node: Node) -> str:
        """Emit a slice of ``x``."""
        bounds = [self.indices([node.attr(a)]) for a in ("start", "stop", "axis")]
        return self.op("Slice", [x, *bounds], self.name(node))

    def name(self, node: Node) -> str:
        """Name of a node's tensor in the graph."""
        return f"t{node.id}"

    def constant(self, values: IntArray) -> str:
        """Return the name of an initializer holding ``values``."""
        tensor = self.numbers(values)
        tensor.name = f"c{len(self.initializers)}"
        self.initializers[tensor.name] = tensor
        return tensor.name

    def indices(self, values: Sequence[int] | IntArray) -> str:
        """Return the name of an int64 initializer: shapes, axes, bounds of slices."""
        tensor = numpy_helper.from_array(np.array(values, dtype=np.int64))
        key = f"{list(tensor.dims)} {tensor.raw_data.hex()}"
        if key not in self.initializers:
            tensor.name = f"i{len(self.initializers)}"
            self.initializers[key] = tensor
        return self.initializers[key].name

    def op(self, op_type: str, inputs: Sequence[str], output: str, **attrs: Any) -> str:  # noqa: ANN401
        """Append an ONNX node; return its output's name."""
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=output, **attrs))
        return output

    def arguments(self, node: Node) -> list[str]:
        """Names of a node's inputs."""
        return [self.name(self.program.nodes[i]) for i in node.inputs]

    def emit(self, node: Node) -> str:
        """Emit one node of the program."""
        if node.op in ("input", "hint"):
            return self.source(node)
        return self.operation(node, self.arguments(node))

    def operation(self, node: Node, args: list[str]) -> str:  # noqa: PLR0911, PLR0912 - one case an op
        """Emit a node that is computed from ``args``."""
        out = self.name(node)
        match node.op:
            case "const":
                return self.op("Identity", [self.constant(self.program.constants[node.id])], out)
            case "field_mul":
                return self.op("Mul", args, out)
            case "add" | "sub" | "mul":
                return self.op(node.op.capitalize(), args, out)
            case "times":
                return self.times(args[0], node)
            case "restate":
                return self.op("Identity", args, out)
            case "matmul":
                return self.op("MatMul", args, out)
            case "transpose":
                return self.op("Transpose", args, out, perm=list(node.attr("perm")))
            case "reshape":
                return self.op("Reshape", [*args, self.indices(node.shape)], out)
            case "slice":
                return self.slice(args[0], node)
            case "concat":
                return self.op("Concat", args, out, axis=node.attr("axis"))
            case "sum":
                axes = self.indices(node.attr("axes"))
                return self.op("ReduceSum", [*args, axes], out, keepdims=int(node.attr("keepdims")))
            case "gather":
                return self.op(
                    "Gather", [*args, self.indices(node.attr("indices"))], out, axis=node.attr("axis")
                )
            case "expand":
                return self.op("Expand", [*args, self.indices(node.shape)], out)
            case "conv":
                return emit_convolution(self, node, *args)
        raise AssertionError(f"lowering bug: unknown op {node.op}")

    def model(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """Return the finished graph, checked."""
        graph = helper.make_graph(
            self.nodes, name, list(inputs), list(outputs), list(self.initializers.values())
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        model.producer_name = "fedproof"
        onnx.checker.check_model(model)
        return model


FLOAT = TensorProto.FLOAT
INT64 = TensorProto.INT64
