"""Concat and Pad: tensors side by side, constants among them."""

from __future__ import annotations

import numpy as np
import onnx

from fedproof.lowering.context import Constant, Context, Joined, UnsupportedOp, Value, attributes, lowers
from fedproof.lowering.ir import Node


@lowers("Concat")
def concat(ctx: Context, node: onnx.NodeProto) -> Value:
    """Tensors joined along ``axis``; their scales may differ until somebody computes on them.

    Constants take the scale of the finest tensor.
    """
    given = [ctx.values[name] for name in node.input]
    tensors = {i: ctx.tensor(node, i) for i, v in enumerate(given) if not isinstance(v, Constant)}
    if not tensors:
        raise UnsupportedOp(node, "at least one part must be a tensor")
    scale = max(x.scale for x in tensors.values())
    parts = tuple(
        ctx.at_scale(v, scale) if isinstance(v, Constant) else tensors[i] for i, v in enumerate(given)
    )
    axis = int(attributes(node)["axis"]) % len(parts[0].shape)
    if len({x.scale for x in parts}) == 1:
        return ctx.program.concat(parts, axis)
    return Joined(parts, axis)


@lowers("Pad")
def pad(ctx: Context, node: onnx.NodeProto) -> Value:
    """Zeros, or another constant, around a tensor; a negative width cuts off."""
    p, x, attrs = ctx.program, ctx.tensor(node, 0), attributes(node)
    if attrs.get("mode", b"constant") not in (b"constant", "constant"):
        raise UnsupportedOp(node, f"mode {attrs['mode']!r} (only constant is supported)")
    widths = [int(n) for n in ctx.constant(node, 1)]
    value = 0.0
    if len(node.input) > 2 and node.input[2]:
        value = float(np.asarray(ctx.constant(node, 2)).ravel()[0])
    given = ctx.constant(node, 3) if len(node.input) > 3 and node.input[3] else range(len(x.shape))
    axes = [int(i) % len(x.shape) for i in given]
    for axis, before, after in zip(axes, widths[: len(axes)], widths[len(axes) :], strict=True):
        x = p.slice(x, axis, max(-before, 0), x.shape[axis] - max(-after, 0))
        parts = [_filled(ctx, x, axis, before, value), x, _filled(ctx, x, axis, after, value)]
        x = p.concat([part for part in parts if part is not None], axis)
    return x


def _filled(ctx: Context, x: Node, axis: int, width: int, value: float) -> Node | None:
    if width <= 0:
        return None
    shape = tuple(width if i == axis else n for i, n in enumerate(x.shape))
    return ctx.at_scale(Constant(np.full(shape, value)), x.scale)
