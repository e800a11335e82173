"""From a float ONNX graph to an integer program."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

import fedproof.lowering.ops  # noqa: F401 - importing it fills the registry
from fedproof.errors import CallerError
from fedproof.lowering.context import (
    REGISTRY,
    Constant,
    Context,
    Joined,
    Lowering,
    UnsupportedOp,
    Value,
    op_name,
    place,
)
from fedproof.lowering.ir import Node
from fedproof.lowering.origins import origin_of

#: Operator set in which constants are moved.
OPSET = 18
#: Of a constant these are constants; it keeps all its digits until somebody computes with it.
_MOVES = frozenset(
    {"Cast", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)


def lower_graph(ctx: Context, graph: onnx.GraphProto, inputs: dict[str, Node]) -> dict[str, Node | Joined]:
    """Lower every node of ``graph``; return its outputs by name.

    ``inputs`` gives the program's tensor for each graph input. Raises :class:`UnsupportedOp` at the first
    node without a lowering, :class:`CallerError` where shapes do not match.
    """
    for tensor in graph.initializer:
        ctx.values[tensor.name] = Constant(onnx.numpy_helper.to_array(tensor))
    for declared in graph.input:
        if declared.name in ctx.values:
            continue
        if declared.name not in inputs:
            raise CallerError(f"graph input {declared.name!r} is none of {sorted(inputs)}")
        shape = tuple(d.dim_value for d in declared.type.tensor_type.shape.dim)
        if shape != inputs[declared.name].shape:
            raise CallerError(
                f"graph input {declared.name!r} has shape {shape}, "
                f"the circuit has {inputs[declared.name].shape}"
            )
        ctx.values[declared.name] = inputs[declared.name]
    ctx.readers.update(name for node in graph.node for name in node.input)
    for node in graph.node:
        lowering = REGISTRY.get(op_name(node))
        if node.op_type == "Constant":
            ctx.values[node.output[0]] = _constant(node)
        elif node.op_type in _MOVES and all(isinstance(ctx.values.get(i), Constant) for i in node.input if i):
            ctx.values.update(zip(node.output, _folded(ctx, node), strict=True))
        elif lowering is None:
            raise UnsupportedOp(node, "no lowering for this op")
        else:
            ctx.values.update(zip(node.output, _lowered(ctx, node, lowering), strict=True))
    outputs: dict[str, Node | Joined] = {}
    for out in graph.output:
        value = ctx.values.get(out.name)
        if not isinstance(value, Node | Joined):
            raise CallerError(f"graph output {out.name!r} does not depend on the inputs")
        outputs[out.name] = value
    return outputs


def _lowered(ctx: Context, node: onnx.NodeProto, lowering: Lowering) -> tuple[Value, ...]:
    ctx.program.origin = origin_of(node)
    try:
        result = lowering(ctx, node)
    except UnsupportedOp:
        raise
    except CallerError as e:
        if not place(node):
            raise
        raise CallerError(f"{place(node)}: {e.message}", hint=e.hint) from e
    finally:
        ctx.program.origin = None
    return result if isinstance(result, tuple) else (result,)


def _folded(ctx: Context, node: onnx.NodeProto) -> list[Constant]:
    """Move a constant as onnx's own reference does."""
    given = {i: value.values for i in node.input if i and isinstance(value := ctx.values[i], Constant)}
    moved = ReferenceEvaluator(node, opsets={"": OPSET}).run(None, given)
    return [Constant(np.asarray(values)) for values in moved]


def _constant(node: onnx.NodeProto) -> Constant:
    value = onnx.helper.get_attribute_value(node.attribute[0])
    if isinstance(value, onnx.TensorProto):
        return Constant(onnx.numpy_helper.to_array(value))
    if node.attribute[0].name in ("value_float", "value_floats", "value_int", "value_ints"):
        return Constant(np.asarray(value))
    raise UnsupportedOp(node, f"a constant given as {node.attribute[0].name}")
