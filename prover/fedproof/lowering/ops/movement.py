"""Transpose, Reshape, Slice, Concat and their kin: elements move, nothing is computed, nothing is paid."""

from __future__ import annotations

import numpy as np
import onnx

from fedproof.lowering.context import Context, Joined, UnsupportedOp, Value, attributes, lowers
from fedproof.lowering.ir import Node


@lowers("Identity")
def identity(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a``."""
    return ctx.values[node.input[0]]


@lowers("Transpose")
def transpose(ctx: Context, node: onnx.NodeProto) -> Value:
    """Axes permuted by ``perm`` (default: reversed)."""
    x = ctx.tensor(node, 0)
    perm = attributes(node).get("perm", range(len(x.shape) - 1, -1, -1))
    return ctx.program.transpose(x, tuple(int(i) for i in perm))


@lowers("Reshape")
def reshape(ctx: Context, node: onnx.NodeProto) -> Value:
    """The same elements in another shape, one axis of which may be -1."""
    x = ctx.tensor(node, 0)
    shape = [int(i) for i in ctx.constant(node, 1)]
    if 0 in shape and not attributes(node).get("allowzero"):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    if -1 in shape:
        shape[shape.index(-1)] = x.size // -int(np.prod(shape))
    return ctx.program.reshape(x, tuple(shape))


@lowers("Flatten")
def flatten(ctx: Context, node: onnx.NodeProto) -> Value:
    """A matrix: axes before ``axis`` in rows, the others in columns."""
    x = ctx.tensor(node, 0)
    axis = int(attributes(node).get("axis", 1))
    rows = int(np.prod(x.shape[:axis], dtype=int))
    return ctx.program.reshape(x, (rows, x.size // rows))


def _squeezed(ctx: Context, node: onnx.NodeProto, *, insert: bool) -> Node:
    x = ctx.tensor(node, 0)
    if len(node.input) > 1 and node.input[1]:
        axes = [int(i) for i in np.atleast_1d(ctx.constant(node, 1))]
    else:
        axes = [i for i, n in enumerate(x.shape) if n == 1]
    rank = len(x.shape) + len(axes) if insert else len(x.shape)
    axes = [i % rank for i in axes]
    if insert:
        rest = iter(x.shape)
        return ctx.program.reshape(x, tuple(1 if i in axes else next(rest) for i in range(rank)))
    return ctx.program.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@lowers("Squeeze")
def squeeze(ctx: Context, node: onnx.NodeProto) -> Value:
    """Axes of length one removed."""
    return _squeezed(ctx, node, insert=False)


@lowers("Unsqueeze")
def unsqueeze(ctx: Context, node: onnx.NodeProto) -> Value:
    """Axes of length one added."""
    return _squeezed(ctx, node, insert=True)


@lowers("Slice")
def slice_(ctx: Context, node: onnx.NodeProto) -> Value:
    """Contiguous ranges along constant axes."""
    x = ctx.tensor(node, 0)
    starts, ends = ctx.constant(node, 1), ctx.constant(node, 2)
    axes = ctx.constant(node, 3) if len(node.input) > 3 else np.arange(len(starts))
    steps = ctx.constant(node, 4) if len(node.input) > 4 else np.ones(len(starts), dtype=int)
    if np.any(np.asarray(steps) != 1):
        raise UnsupportedOp(node, f"steps {list(steps)} (only 1 is supported)")
    for start, end, axis in zip(starts, ends, axes, strict=True):
        n = x.shape[int(axis)]
        lo, hi, _ = slice(int(start), int(end)).indices(n)
        x = ctx.program.slice(x, int(axis) % len(x.shape), lo, hi)
    return x


@lowers("Split")
def split(ctx: Context, node: onnx.NodeProto) -> tuple[Value, ...]:
    """Consecutive parts along ``axis``, of constant lengths."""
    x = ctx.tensor(node, 0)
    axis = int(attributes(node).get("axis", 0)) % len(x.shape)
    if len(node.input) > 1 and node.input[1]:
        lengths = [int(n) for n in ctx.constant(node, 1)]
    else:
        whole, parts = x.shape[axis], len(node.output)
        chunk = -(-whole // parts)
        lengths = [min(chunk, whole - i * chunk) for i in range(parts)]
    ends = np.cumsum(lengths)
    return tuple(ctx.program.slice(x, axis, int(e) - n, int(e)) for e, n in zip(ends, lengths, strict=True))


@lowers("Concat")
def concat(ctx: Context, node: onnx.NodeProto) -> Value:
    """Tensors joined along ``axis``; their scales may differ until somebody computes on them."""
    parts = tuple(ctx.tensor(node, i) for i in range(len(node.input)))
    axis = int(attributes(node)["axis"]) % len(parts[0].shape)
    if len({x.scale for x in parts}) == 1:
        return ctx.program.concat(parts, axis)
    return Joined(parts, axis)
