"""Add, Sub, Mul, Div, Neg, Pow: elementwise arithmetic. Powers of two are free: they restate the scale."""

from __future__ import annotations

from math import floor, frexp, isfinite, log2

import numpy as np
import onnx

from fedproof.lowering.context import Constant, Context, Joined, UnsupportedOp, Value, lowers
from fedproof.lowering.division import divide
from fedproof.lowering.ir import MAX_BOUND, Node


def add_values(ctx: Context, node: onnx.NodeProto, a: Value, b: Value, *, subtract: bool = False) -> Node:
    """Sum or difference of two values, brought exactly to the larger scale. A constant takes the tensor's.

    Sums that could leave int64 are made of rescaled tensors.
    """
    a, b = (ctx.materialise(v) if isinstance(v, Joined) else v for v in (a, b))
    match a, b:
        case Node(), Node():
            scale = max(a.scale, b.scale)
            if (a.bound << (scale - a.scale)) + (b.bound << (scale - b.scale)) > MAX_BOUND:
                a, b = ctx.bounded(a, f"{node.output[0]} left"), ctx.bounded(b, f"{node.output[0]} right")
            x, y = ctx.align(a, b)
        case Node(), Constant():
            x, y = a, ctx.beside(b, a)
        case Constant(), Node():
            x, y = ctx.beside(a, b), b
        case _:
            raise UnsupportedOp(node, "at least one operand must be a tensor")
    return ctx.program.sub(x, y) if subtract else ctx.program.add(x, y)


@lowers("Add")
def add(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a + b``."""
    return add_values(ctx, node, ctx.values[node.input[0]], ctx.values[node.input[1]])


@lowers("Sub")
def sub(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a - b``."""
    return add_values(ctx, node, ctx.values[node.input[0]], ctx.values[node.input[1]], subtract=True)


def scale_by(ctx: Context, node: onnx.NodeProto, x: Node, c: float) -> Node:
    """``c * x``: free for a power of two; else c is rounded to ``numbers.constants`` significant bits."""
    if c == 0 or not isfinite(c):
        raise UnsupportedOp(node, f"a product with the constant {c} is not a computation worth proving")
    mantissa, exponent = frexp(abs(c))
    if mantissa == 0.5:
        y = ctx.program.restate(x, x.scale - (exponent - 1))
        return y if c > 0 else ctx.program.times(y, -1)
    shift = ctx.numbers.constants - 1 - floor(log2(abs(c)))
    m = floor(c * 2.0**shift + 0.5)
    while m % 2 == 0:
        m, shift = m // 2, shift - 1
    if x.bound * abs(m) > MAX_BOUND:
        x = ctx.bounded(x, node.output[0])
    return ctx.program.times(x, m, x.scale + shift)


@lowers("Mul")
def mul(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a * b``: by a constant, or elementwise with wide operands rescaled first."""
    a, b = ctx.values[node.input[0]], ctx.values[node.input[1]]
    if isinstance(a, Constant):
        a, b = b, a
    if isinstance(a, Joined) and isinstance(b, Constant) and b.uniform is not None:
        c = b.uniform
        for x in a.parts:
            ctx.demand_shape(node, b, x.shape)
        return Joined(tuple(scale_by(ctx, node, x, c) for x in a.parts), a.axis)
    a, b = (ctx.materialise(v) if isinstance(v, Joined) else v for v in (a, b))
    if isinstance(a, Node) and isinstance(b, Constant):
        if b.uniform is not None:
            return ctx.program.expand(scale_by(ctx, node, a, b.uniform), ctx.broadcast(node, a, b))
        x = ctx.narrow(a, node.output[0])
        return ctx.program.mul(*ctx.fitting(x, ctx.exactly(b), node.output[0]))
    if isinstance(a, Node) and isinstance(b, Node):
        label = node.output[0]
        x, y = ctx.narrow(a, f"{label} left"), ctx.narrow(b, f"{label} right")
        return ctx.program.mul(*ctx.fitting(x, y, label))
    raise UnsupportedOp(node, "operands must be tensors or constants")


@lowers("Div")
def div(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a / c`` for a constant c; for a tensor, which must be positive, the rounded quotient."""
    x = ctx.tensor(node, 0)
    if not isinstance(ctx.values[node.input[1]], Constant):
        return _quotient(ctx, node, x, ctx.tensor(node, 1))
    c = ctx.uniform(node, 1, x.shape)
    if not c:
        raise UnsupportedOp(node, "the divisor must be one non-zero constant")
    return scale_by(ctx, node, x, 1.0 / c)


def _quotient(ctx: Context, node: onnx.NodeProto, n: Node, d: Node) -> Node:
    label, numbers = node.output[0], ctx.numbers
    n, d = ctx.narrow(n, f"{label} dividend"), ctx.narrow(d, f"{label} divisor")
    scale = numbers.gradients if ctx.is_gradient(n) or ctx.is_gradient(d) else numbers.activations
    return divide(ctx.program, n, d, scale - n.scale + d.scale, numbers.range, label)


@lowers("fedproof::Table_reciprocal")
def reciprocal(ctx: Context, node: onnx.NodeProto) -> Value:
    """``1 / a`` of a positive tensor: a quotient."""
    x = ctx.tensor(node, 0)
    return _quotient(ctx, node, ctx.program.const(np.ones((1,) * len(x.shape), dtype=np.int64), 0), x)


@lowers("Neg")
def neg(ctx: Context, node: onnx.NodeProto) -> Value:
    """``-a``."""
    return ctx.program.times(ctx.tensor(node, 0), -1)


@lowers("Pow")
def power(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a ** c`` for c = 1 or 2."""
    x = ctx.tensor(node, 0)
    c = ctx.uniform(node, 1, x.shape)
    if c == 1:
        return x
    if c == 2:
        x = ctx.narrow(x, node.output[0])
        return ctx.program.mul(*ctx.fitting(x, x, node.output[0]))
    raise UnsupportedOp(node, f"exponent {c} (1 and 2 are supported)")
