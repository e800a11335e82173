"""Relu, comparisons with zero, and Where: piecewise linear functions and their gradients."""

from __future__ import annotations

import numpy as np
import onnx

from fedproof.lowering.context import Constant, Context, Predicate, UnsupportedOp, Value, lowers
from fedproof.lowering.gadgets import rectify
from fedproof.lowering.ir import Node


def _rectified(ctx: Context, x: Node, label: str) -> tuple[Node, Node]:
    # The rectifier's own check proves the range of its argument, so the rescale need not.
    x = ctx.narrow(x, f"{label} argument", ranged=False)
    m, a = rectify(ctx.program, x, label)
    ctx.masks[a.id] = m
    return m, a


@lowers("Relu")
def relu(ctx: Context, node: onnx.NodeProto) -> Value:
    """``max(x, 0)``."""
    return _rectified(ctx, ctx.tensor(node, 0), node.output[0])[1]


def _above_zero(ctx: Context, node: onnx.NodeProto) -> Node:
    x = ctx.tensor(node, 0)
    if ctx.uniform(node, 1, x.shape) != 0:
        raise UnsupportedOp(node, "only comparisons with zero are supported")
    # max(x, 0) > 0 exactly where x > 0: the mask is there already.
    return ctx.masks[x.id] if x.id in ctx.masks else _rectified(ctx, x, node.output[0])[0]


@lowers("Greater")
def greater(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x > 0``."""
    return Predicate(_above_zero(ctx, node), negated=False)


@lowers("LessOrEqual")
def less_or_equal(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x <= 0``."""
    return Predicate(_above_zero(ctx, node), negated=True)


@lowers("Where")
def where(ctx: Context, node: onnx.NodeProto) -> Value:
    """``condition ? a : 0`` and ``condition ? 0 : a``: what gradients of rectifiers need."""
    condition = ctx.values[node.input[0]]
    if not isinstance(condition, Predicate):
        raise UnsupportedOp(node, "the condition must come from a comparison")
    then, other = (ctx.values[node.input[i]] for i in (1, 2))
    if condition.negated:
        then, other = other, then
    p, m = ctx.program, condition.mask
    for branch, zero in ((then, other), (other, then)):
        if isinstance(branch, Node) and isinstance(zero, Constant):
            if np.broadcast_shapes(m.shape, branch.shape) != branch.shape:
                raise UnsupportedOp(
                    node, f"a condition of shape {m.shape} broadcasts a tensor of {branch.shape}"
                )
            ctx.demand_shape(node, zero, branch.shape)
    if isinstance(then, Node) and isinstance(other, Constant) and other.uniform == 0:
        return p.mul(m, ctx.narrow(then, node.output[0]))
    if isinstance(other, Node) and isinstance(then, Constant) and then.uniform == 0:
        x = ctx.narrow(other, node.output[0])
        return p.sub(x, p.mul(m, x))
    raise UnsupportedOp(node, "one branch must be zero and the other a tensor")
