"""Transpose, Reshape, Slice, Gather and their kin: elements move, nothing is computed, nothing is paid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from fedproof.lowering.context import Context, Predicate, UnsupportedOp, Value, attributes, lowers
from fedproof.lowering.ir import Node, Shape


def source(ctx: Context, node: onnx.NodeProto) -> Node:
    """Input 0 as a tensor; of a predicate, its mask, which moves alike."""
    value = ctx.values[node.input[0]]
    return value.mask if isinstance(value, Predicate) else ctx.tensor(node, 0)


def moved(ctx: Context, node: onnx.NodeProto, result: Node) -> Value:
    """Return the moved input 0 as what it was: a tensor or a predicate."""
    value = ctx.values[node.input[0]]
    return replace(value, mask=result) if isinstance(value, Predicate) else result


@lowers("Identity")
def identity(ctx: Context, node: onnx.NodeProto) -> Value:
    """``a``."""
    return ctx.values[node.input[0]]


@lowers("Transpose")
def transpose(ctx: Context, node: onnx.NodeProto) -> Value:
    """Axes permuted by ``perm`` (default: reversed)."""
    x = source(ctx, node)
    perm = attributes(node).get("perm", range(len(x.shape) - 1, -1, -1))
    return moved(ctx, node, ctx.program.transpose(x, tuple(int(i) for i in perm)))


@lowers("Reshape")
def reshape(ctx: Context, node: onnx.NodeProto) -> Value:
    """The same elements in another shape, one axis of which may be -1."""
    x = source(ctx, node)
    shape = [int(i) for i in ctx.constant(node, 1)]
    if 0 in shape and not attributes(node).get("allowzero"):
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    if -1 in shape:
        shape[shape.index(-1)] = x.size // -int(np.prod(shape))
    return moved(ctx, node, ctx.program.reshape(x, tuple(shape)))


@lowers("Flatten")
def flatten(ctx: Context, node: onnx.NodeProto) -> Value:
    """A matrix: axes before ``axis`` in rows, the others in columns."""
    x = source(ctx, node)
    axis = int(attributes(node).get("axis", 1))
    axis = axis + len(x.shape) if axis < 0 else axis
    rows = int(np.prod(x.shape[:axis], dtype=int))
    return moved(ctx, node, ctx.program.reshape(x, (rows, x.size // rows)))


def _squeezed(ctx: Context, node: onnx.NodeProto, *, insert: bool) -> Value:
    x = source(ctx, node)
    if len(node.input) > 1 and node.input[1]:
        axes = [int(i) for i in np.atleast_1d(ctx.constant(node, 1))]
    else:
        axes = [i for i, n in enumerate(x.shape) if n == 1]
    rank = len(x.shape) + len(axes) if insert else len(x.shape)
    axes = [i % rank for i in axes]
    if insert:
        rest = iter(x.shape)
        shape: Shape = tuple(1 if i in axes else next(rest) for i in range(rank))
    else:
        shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return moved(ctx, node, ctx.program.reshape(x, shape))


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
    """Ranges along constant axes, with any step."""
    x = source(ctx, node)
    starts, ends = ctx.constant(node, 1), ctx.constant(node, 2)
    axes = ctx.constant(node, 3) if len(node.input) > 3 and node.input[3] else np.arange(len(starts))
    steps = ctx.constant(node, 4) if len(node.input) > 4 else np.ones(len(starts), dtype=int)
    for start, end, given, step in zip(starts, ends, axes, steps, strict=True):
        axis = int(given) % len(x.shape)
        n = x.shape[axis]
        # ONNX counts an end from behind like Python, but has one before the first element: -n - 1 or less.
        stop = None if int(step) < 0 and int(end) < -n else int(end)
        places = tuple(range(n)[int(start) : stop : int(step)])
        if not places:
            raise UnsupportedOp(node, f"no element of {n} lies in {start}:{end}:{step}")
        if int(step) == 1:
            x = ctx.program.slice(x, axis, places[0], places[-1] + 1)
        else:
            x = ctx.program.gather(x, axis, places)
    return moved(ctx, node, x)


@lowers("Gather")
def gather(ctx: Context, node: onnx.NodeProto) -> Value:
    """Elements at constant indices along ``axis``; the indices' shape takes the place of the axis."""
    x, indices = source(ctx, node), ctx.constant(node, 1)
    axis = int(attributes(node).get("axis", 0)) % len(x.shape)
    n = x.shape[axis]
    flat = [int(i) + n if i < 0 else int(i) for i in indices.ravel()]
    if not flat or not all(0 <= i < n for i in flat):
        raise UnsupportedOp(
            node, f"indices from {min(flat, default=0)} to {max(flat, default=0)} of {n} elements"
        )
    picked = ctx.program.gather(x, axis, tuple(flat))
    return moved(
        ctx, node, ctx.program.reshape(picked, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    )


@lowers("Expand")
def expand(ctx: Context, node: onnx.NodeProto) -> Value:
    """Repeated along axes of length one, and along new axes before the first."""
    x = source(ctx, node)
    shape = tuple(np.broadcast_shapes(x.shape, tuple(int(i) for i in ctx.constant(node, 1))))
    return moved(ctx, node, ctx.program.expand(x, shape))


@lowers("Split")
def split(ctx: Context, node: onnx.NodeProto) -> tuple[Value, ...]:
    """Consecutive parts along ``axis``, of constant lengths."""
    x = source(ctx, node)
    axis = int(attributes(node).get("axis", 0)) % len(x.shape)
    if len(node.input) > 1 and node.input[1]:
        lengths = [int(n) for n in ctx.constant(node, 1)]
    else:
        whole, parts = x.shape[axis], len(node.output)
        chunk = -(-whole // parts)
        lengths = [min(chunk, whole - i * chunk) for i in range(parts)]
    ends = np.cumsum(lengths)
    return tuple(
        moved(ctx, node, ctx.program.slice(x, axis, int(e) - n, int(e)))
        for e, n in zip(ends, lengths, strict=True)
    )
