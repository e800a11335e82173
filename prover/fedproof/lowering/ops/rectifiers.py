"""Relu, Clip and their kin: piecewise linear functions, from the masks that their gradients read as well."""

from __future__ import annotations

import numpy as np
import onnx

from fedproof.lowering.context import Constant, Context, UnsupportedOp, Value, lowers
from fedproof.lowering.gadgets import commit, quantize
from fedproof.lowering.ir import Node
from fedproof.lowering.ops.arithmetic import add_values
from fedproof.lowering.ops.comparisons import compared

ZERO = np.zeros(1)


@lowers("Relu")
def relu(ctx: Context, node: onnx.NodeProto) -> Value:
    """``max(x, 0)``."""
    return compared(ctx, ctx.tensor(node, 0), ZERO, node.output[0])[1]


def clipped(ctx: Context, x: Node, low: float, high: float, label: str) -> Node:
    """``min(max(x, low), high)``, either infinite, on the integers of x: limits are rounded to its scale.

    A mask for each limit: x > low, and x >= high. With both, and low < high as integers,
    ``low + [x > low](x - low) - [x >= high](x - high)``; at a limit the product is zero either way.
    """
    p, terms, constant = ctx.program, [], 0
    bounds = []
    for value, sign in ((low, 1), (high, -1)):
        if not np.isfinite(value):
            continue
        m, kept, x, _ = compared(ctx, x, np.full(1, value), f"{label} {value:g}", strict=sign > 0)
        limit = int(quantize(np.array(value), x.scale))
        bounds.append(limit)
        part = p.sub(kept, p.times(p.restate(m, x.scale), limit)) if limit else kept
        terms.append((sign, part))
    if not bounds:
        return x
    if len(bounds) == 2 and bounds[0] > bounds[1]:
        raise AssertionError(f"lowering bug: {label} clips to {bounds}")
    if np.isfinite(low):
        y, constant = terms[0][1], bounds[0]
        if len(terms) == 2:
            y = p.sub(y, terms[1][1])
    else:
        y = p.sub(x, terms[0][1])
    if constant:
        y = p.add(y, p.const(np.full((1,) * len(x.shape), constant), x.scale))
    # Products would compute the sum anew; and it is known to stay between the limits.
    bound = max(abs(b) for b in bounds) if len(bounds) == 2 else y.bound
    return commit(p, y, label, bound)


@lowers("Clip")
def clip(ctx: Context, node: onnx.NodeProto) -> Value:
    """``min(max(x, low), high)`` for constants, either of which may be missing."""
    x, limits = ctx.tensor(node, 0), [-np.inf, np.inf]
    for i in (1, 2):
        if len(node.input) > i and node.input[i]:
            value = ctx.uniform(node, i, x.shape)
            if value is None:
                raise UnsupportedOp(node, "a limit must be one number")
            limits[i - 1] = value
    if limits[0] >= limits[1]:
        raise UnsupportedOp(node, f"nothing lies between {limits[0]} and {limits[1]}")
    return clipped(ctx, x, limits[0], limits[1], node.output[0])


def _larger(ctx: Context, node: onnx.NodeProto, *, least: bool) -> Value:
    if len(node.input) != 2:
        raise UnsupportedOp(node, f"{len(node.input)} operands; two are supported")
    a, b = (ctx.values[i] for i in node.input)
    if isinstance(a, Constant):
        a, b = b, a
    if isinstance(a, Node) and isinstance(b, Constant) and b.uniform is not None:
        ctx.demand_shape(node, b, a.shape)
        limits = (-np.inf, b.uniform) if least else (b.uniform, np.inf)
        return clipped(ctx, a, *limits, node.output[0])
    difference = add_values(ctx, node, a, b, subtract=True)
    positive = compared(ctx, difference, ZERO, node.output[0])[1]
    return add_values(ctx, node, a if least else b, positive, subtract=least)


@lowers("Max")
def maximum(ctx: Context, node: onnx.NodeProto) -> Value:
    """``max(a, b)``: ``b + max(a - b, 0)``."""
    return _larger(ctx, node, least=False)


@lowers("Min")
def minimum(ctx: Context, node: onnx.NodeProto) -> Value:
    """``min(a, b)``: ``a - max(a - b, 0)``."""
    return _larger(ctx, node, least=True)


@lowers("Abs")
def absolute(ctx: Context, node: onnx.NodeProto) -> Value:
    """``2 max(x, 0) - x``."""
    _, positive, x, _ = compared(ctx, ctx.tensor(node, 0), ZERO, node.output[0])
    return ctx.program.sub(ctx.program.times(positive, 2), x)


@lowers("Sign")
def sign(ctx: Context, node: onnx.NodeProto) -> Value:
    """1 above zero, 0 at it, -1 below: ``[x > 0] + [x >= 0] - 1``."""
    p, x = ctx.program, ctx.tensor(node, 0)
    at = compared(ctx, x, ZERO, node.output[0], strict=False)[0]
    over = compared(ctx, x, ZERO, node.output[0])[0]
    return p.sub(p.add(over, at), p.const(np.ones((1,) * len(x.shape), dtype=np.int64), 0))
