"""MatMul and Gemm: products of matrices, exact; wide operands are rescaled first."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from fedproof.lowering.context import (
    Constant,
    Context,
    Joined,
    UnsupportedOp,
    Value,
    attributes,
    lowers,
)
from fedproof.lowering.ir import Node
from fedproof.lowering.ops.arithmetic import add_values, scale_by


def factor(ctx: Context, node: onnx.NodeProto, i: int) -> Node:
    """Operand ``i`` of a product: a tensor, or a constant with ``numbers.constants`` significant bits."""
    value = ctx.values[node.input[i]]
    return ctx.exactly(value) if isinstance(value, Constant) else ctx.tensor(node, i)


def _factors(ctx: Context, node: onnx.NodeProto) -> tuple[Node, Node]:
    if all(isinstance(ctx.values[node.input[i]], Constant) for i in (0, 1)):
        raise UnsupportedOp(node, "at least one operand must be a tensor")
    return factor(ctx, node, 0), factor(ctx, node, 1)


def _product(ctx: Context, node: onnx.NodeProto, a: Node, b: Node) -> Node:
    """``A @ B`` as numpy's matmul: matrices under equal axes, or under axes that broadcast."""
    p, label = ctx.program, node.output[0]
    if not a.shape or not b.shape or a.shape[-1] != b.shape[max(len(b.shape) - 2, 0)]:
        raise UnsupportedOp(node, f"operands of shapes {a.shape} and {b.shape} do not fit")
    if len(a.shape) == 1:
        y = _product(ctx, node, p.reshape(a, (1, *a.shape)), b)
        return p.reshape(y, (*y.shape[:-2], *y.shape[-1:]) if len(b.shape) > 1 else ())
    if len(b.shape) == 1:
        y = _product(ctx, node, a, p.reshape(b, (*b.shape, 1)))
        return p.reshape(y, y.shape[:-1])
    a, b = ctx.narrow(a, f"{label} left"), ctx.narrow(b, f"{label} right")
    results = a.size // a.shape[-1] * b.shape[-1]
    a = ctx.rounded(a, b, results * ctx.readers[node.input[0]], f"{label} weights")
    b = ctx.rounded(b, a, results * ctx.readers[node.input[1]], f"{label} weights")
    a, b = ctx.fitting(a, b, label, a.shape[-1])
    lead_a, lead_b = a.shape[:-2], b.shape[:-2]
    if lead_a == lead_b:
        return p.matmul(a, b)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if prod(lead_b) == 1:
        # One matrix for all: the rows of all others are one matrix.
        rows = p.matmul(p.reshape(a, (prod(lead_a) * m, k)), p.reshape(b, (k, n)))
        extra = len(lead_b) - len(lead_a)
        return p.reshape(rows, ((1,) * extra + lead_a if extra > 0 else lead_a) + (m, n))
    if prod(lead_a) == 1:
        flipped = _product(ctx, node, _flipped(ctx, b), _flipped(ctx, a))
        return _flipped(ctx, flipped)
    lead = tuple(np.broadcast_shapes(lead_a, lead_b))
    return p.matmul(p.expand(a, (*lead, m, k)), p.expand(b, (*lead, k, n)))


def _flipped(ctx: Context, x: Node) -> Node:
    rank = len(x.shape)
    return ctx.program.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


@lowers("MatMul")
def matmul(ctx: Context, node: onnx.NodeProto) -> Value:
    """``A @ B``, leading axes and vectors as in numpy."""
    return _product(ctx, node, *_factors(ctx, node))


@lowers("Gemm")
def gemm(ctx: Context, node: onnx.NodeProto) -> Value:
    """``alpha A @ B + beta C``, either operand transposed; the bias is added at the scale of the product."""
    attrs = attributes(node)
    a, b = _factors(ctx, node)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise UnsupportedOp(node, f"operands of shapes {a.shape} and {b.shape} are no matrices")
    a = ctx.program.transpose(a, (1, 0)) if attrs.get("transA") else a
    b = ctx.program.transpose(b, (1, 0)) if attrs.get("transB") else b
    y = scale_by(ctx, node, _product(ctx, node, a, b), float(attrs.get("alpha", 1.0)))
    if len(node.input) < 3 or not node.input[2]:
        return y
    c, beta = ctx.values[node.input[2]], float(attrs.get("beta", 1.0))
    if isinstance(c, Joined):
        c = ctx.materialise(c)
    if isinstance(c, Constant):
        return add_values(ctx, node, y, Constant(c.values * beta))
    if not isinstance(c, Node):
        raise UnsupportedOp(node, "the bias must be a tensor")
    return add_values(ctx, node, y, scale_by(ctx, node, c, beta))
