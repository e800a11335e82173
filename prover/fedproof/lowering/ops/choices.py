"""Where: one of two values an element."""

from __future__ import annotations

import numpy as np
import onnx

from fedproof.lowering.context import Constant, Context, Joined, Predicate, UnsupportedOp, Value, lowers
from fedproof.lowering.gadgets import quantize
from fedproof.lowering.ir import Node
from fedproof.lowering.ops.arithmetic import scale_by


def _operand(ctx: Context, node: onnx.NodeProto, i: int) -> Node | Constant:
    value = ctx.values[node.input[i]]
    if isinstance(value, Joined):
        return ctx.materialise(value)
    if isinstance(value, Predicate):
        raise UnsupportedOp(node, f"input {node.input[i]!r} is a predicate, not a tensor")
    return value


@lowers("Where")
def where(ctx: Context, node: onnx.NodeProto) -> Value:
    """``m ? a : b`` is ``b + m (a - b)``, broadcast; a and b in the formats of their classes.

    A branch that is zero saves the difference, one that is a constant its rescale.
    """
    condition = ctx.values[node.input[0]]
    then, other = _operand(ctx, node, 1), _operand(ctx, node, 2)
    if isinstance(condition, Constant):
        m = ctx.program.const((condition.values != 0).astype(np.int64), 0)
    elif isinstance(condition, Predicate):
        m = condition.mask
        if condition.negated:
            then, other = other, then
    else:
        raise UnsupportedOp(node, "the condition must come from a comparison")
    return ctx.program.expand(_chosen(ctx, node, m, then, other), ctx.broadcast(node, m, then, other))


def _chosen(
    ctx: Context, node: onnx.NodeProto, m: Node, then: Node | Constant, other: Node | Constant
) -> Node:
    p, label = ctx.program, node.output[0]
    if isinstance(then, Constant) and isinstance(other, Constant):
        return _of_constants(ctx, node, m, then, other)
    if isinstance(other, Constant):
        a = ctx.narrow(_node(then), label)
        if other.uniform == 0:
            return p.mul(m, a)
        b = ctx.beside(other, a)
    elif isinstance(then, Constant):
        b = ctx.narrow(other, label)
        if then.uniform == 0:
            return p.sub(b, p.mul(m, b))
        a = ctx.beside(then, b)
    else:
        a, b = ctx.align(ctx.narrow(then, f"{label} then"), ctx.narrow(other, f"{label} else"))
    return p.add(p.mul(m, p.sub(a, b)), b)


def _of_constants(ctx: Context, node: onnx.NodeProto, m: Node, then: Constant, other: Constant) -> Node:
    p = ctx.program
    difference = np.asarray(then.values, dtype=np.float64) - other.values
    if not difference.any():
        raise UnsupportedOp(node, "both branches are the same constants")
    step = Constant(difference)
    if step.uniform is not None:
        y = p.expand(
            scale_by(ctx, node, m, step.uniform), tuple(np.broadcast_shapes(m.shape, difference.shape))
        )
    else:
        y = p.mul(m, ctx.exactly(step))
    if not np.any(other.values):
        return y
    base = ctx.exactly(other)
    scale = max(y.scale, base.scale)
    values = quantize(other.values, scale)
    return p.add(p.times(y, 2 ** (scale - y.scale), scale), p.const(values, scale))


def _node(value: Node | Constant) -> Node:
    assert isinstance(value, Node)
    return value
