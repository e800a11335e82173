"""MatMul and Gemm: products of matrices, exact; wide operands are rescaled first."""

from __future__ import annotations

import onnx

from fedproof.lowering.context import Constant, Context, UnsupportedOp, Value, attributes, lowers
from fedproof.lowering.ir import Node
from fedproof.lowering.ops.arithmetic import add_values


def _product(ctx: Context, node: onnx.NodeProto, a: Node, b: Node) -> Node:
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise UnsupportedOp(
            node, f"operands have shapes {a.shape} and {b.shape}; only matrices are supported"
        )
    label = node.output[0]
    return ctx.program.matmul(ctx.narrow(a, f"{label} left"), ctx.narrow(b, f"{label} right"))


@lowers("MatMul")
def matmul(ctx: Context, node: onnx.NodeProto) -> Value:
    """``A @ B`` for matrices."""
    return _product(ctx, node, ctx.tensor(node, 0), ctx.tensor(node, 1))


@lowers("Gemm")
def gemm(ctx: Context, node: onnx.NodeProto) -> Value:
    """``A @ B + C``, either operand transposed; the bias is added at the scale of the product."""
    attrs = attributes(node)
    if attrs.get("alpha", 1.0) != 1.0 or attrs.get("beta", 1.0) != 1.0:
        raise UnsupportedOp(node, "alpha and beta must be 1")
    a, b = ctx.tensor(node, 0), ctx.tensor(node, 1)
    a = ctx.program.transpose(a, (1, 0)) if attrs.get("transA") else a
    b = ctx.program.transpose(b, (1, 0)) if attrs.get("transB") else b
    y: Value = _product(ctx, node, a, b)
    if len(node.input) > 2 and node.input[2]:
        c = ctx.values[node.input[2]]
        if not isinstance(c, Node | Constant):
            raise UnsupportedOp(node, "the bias must be a tensor")
        y = add_values(ctx, node, y, c)
    return y
