"""ReduceSum: exact."""

from __future__ import annotations

import onnx

from fedproof.lowering.context import Context, Value, attributes, lowers


@lowers("ReduceSum")
def reduce_sum(ctx: Context, node: onnx.NodeProto) -> Value:
    """Sum over constant axes (default: all)."""
    x = ctx.tensor(node, 0)
    attrs = attributes(node)
    given = ctx.constant(node, 1) if len(node.input) > 1 and node.input[1] else ()
    if not len(given) and attrs.get("noop_with_empty_axes"):
        return x
    axes = tuple(sorted(int(i) % len(x.shape) for i in given)) or tuple(range(len(x.shape)))
    return ctx.program.sum(x, axes, keepdims=bool(attrs.get("keepdims", 1)))
