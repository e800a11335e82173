"""ReduceSum and ReduceMean: a sum is exact, or, where it could leave int64, of rescaled elements; a mean is
a sum times a constant.
"""

from __future__ import annotations

from math import prod

import onnx

from fedproof.lowering.context import Context, Value, attributes, lowers
from fedproof.lowering.ir import MAX_BOUND, Node
from fedproof.lowering.ops.arithmetic import scale_by


def _summed(ctx: Context, node: onnx.NodeProto) -> tuple[Node, int]:
    """Return the sum over constant axes (default: all), and of how many elements each is one."""
    x = ctx.tensor(node, 0)
    attrs = attributes(node)
    if len(node.input) > 1 and node.input[1]:
        given = [int(i) for i in ctx.constant(node, 1)]
    else:
        given = [int(i) for i in attrs.get("axes", ())]
    if not given and attrs.get("noop_with_empty_axes"):
        return x, 1
    axes = tuple(sorted(i % len(x.shape) for i in given)) or tuple(range(len(x.shape)))
    count = prod(x.shape[i] for i in axes)
    if x.bound * count > MAX_BOUND:
        x = ctx.bounded(x, f"{node.output[0]} argument")
    return ctx.program.sum(x, axes, keepdims=bool(attrs.get("keepdims", 1))), count


@lowers("ReduceSum")
def reduce_sum(ctx: Context, node: onnx.NodeProto) -> Value:
    """Sum over constant axes (default: all)."""
    return _summed(ctx, node)[0]


@lowers("ReduceMean")
def reduce_mean(ctx: Context, node: onnx.NodeProto) -> Value:
    """Mean over constant axes (default: all)."""
    total, count = _summed(ctx, node)
    return scale_by(ctx, node, total, 1.0 / count)
