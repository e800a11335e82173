"""Small float graphs, lowered and evaluated three ways: numpy, the reference graph, and float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from fedproof.lowering import Numbers, Program, evaluate, quantize, reference_graph
from fedproof.lowering.context import Context, Joined
from fedproof.lowering.ir import Node
from fedproof.lowering.lower import lower_graph

#: Scales are small enough that float32 holds every product of the tests exactly.
NUMBERS = Numbers(
    table=8, weights=6, inputs=4, targets=4, activations=6, gradients=8, range=20, step=12, model=20
)


def node(op: str, inputs: Sequence[str], output: str | Sequence[str] = "out", **attrs) -> onnx.NodeProto:
    outputs = [output] if isinstance(output, str) else list(output)
    return helper.make_node(
        op, list(inputs), outputs, name=f"the_{op.lower()}" if outputs == ["out"] else outputs[0], **attrs
    )


def float_graph(
    nodes: Sequence[onnx.NodeProto],
    shapes: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("out",),
) -> onnx.GraphProto:
    """A float graph with inputs of these shapes; shapes of outputs are left open."""
    return helper.make_graph(
        list(nodes),
        "case",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()],
    )


def lower(graph: onnx.GraphProto, *, targets: Sequence[str] = (), scale: int = 4, bits: int = 12):
    """Lower a graph; returns the program, its inputs by name and its outputs by name."""
    program = Program(NUMBERS.table)
    ctx = Context(program, NUMBERS)
    inputs = {
        i.name: program.input(i.name, tuple(d.dim_value for d in i.type.tensor_type.shape.dim), scale, bits)
        for i in graph.input
    }
    ctx.targets.update(inputs[name].id for name in targets)
    lowered = lower_graph(ctx, graph, inputs)
    outputs = {n: ctx.materialise(v) if isinstance(v, Joined) else v for n, v in lowered.items()}
    return program, inputs, outputs


def run_reference(program: Program, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Every tensor of the program, by the reference graph in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = reference_graph(program).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run([f"t{n.id}" for n in program.nodes], dict(arrays))


def run_float(graph: onnx.GraphProto, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The float graph in onnxruntime."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {k: v.astype(np.float32) for k, v in arrays.items()})


def agree(program: Program, arrays: Mapping[str, np.ndarray], *, check: bool = True) -> dict[int, np.ndarray]:
    """Evaluate in numpy, demand the same of the reference graph on every tensor; return the values."""
    values = evaluate(program, arrays, check=check)
    for n, actual in zip(program.nodes, run_reference(program, arrays), strict=True):
        assert actual.dtype == np.int64
        assert actual.shape == n.shape
        np.testing.assert_array_equal(actual, values[n.id], err_msg=f"{n.op} {n.label}")
        assert np.abs(values[n.id]).max(initial=0) <= n.bound
    return values


def real(values: np.ndarray, n: Node) -> np.ndarray:
    """The real numbers a tensor stands for."""
    return values / 2.0**n.scale


def compare(graph: onnx.GraphProto, reals: Mapping[str, np.ndarray], *, error: float = 0.0, **how) -> Program:
    """Lower and evaluate ``graph`` on real inputs; every output is within ``error`` of the float graph."""
    program, inputs, outputs = lower(graph, **how)
    arrays = {n: quantize(reals[n], inputs[n].scale, n) for n in inputs}
    values = agree(program, arrays)
    expected = run_float(graph, {n: real(arrays[n], inputs[n]) for n in inputs})
    for declared, want in zip(graph.output, expected, strict=True):
        out = outputs[declared.name]
        assert out.shape == want.shape
        np.testing.assert_allclose(real(values[out.id], out), want, rtol=0, atol=error)
    return program
