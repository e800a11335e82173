"""Movement of elements: reshapes and transposes, and everything else as a choice of constant places."""

from __future__ import annotations

from math import prod

import torch
from torch import fx

from fedproof.export.emit.builder import Ref
from fedproof.export.emit.context import Value, Walk, emits, shape_of

aten = torch.ops.aten
Shape = tuple[int, ...]


def reshaped(walk: Walk, x: Ref, shape: Shape) -> Ref:
    """The same elements; a reshape of a reshape is one."""
    if x.shape == shape:
        return x
    maker = walk.builder.makers.get(x.name)
    if maker is not None and maker.op_type == "Reshape":
        source = walk.builder.refs.get(maker.input[0]) or walk.builder.inputs.get(maker.input[0])
        if source is not None and source.kind == x.kind:
            return reshaped(walk, source, shape)
    return walk.builder.one("Reshape", [x.name, walk.builder.constant(shape, int)], shape, kind=x.kind)


@emits(
    aten.view.default, aten._unsafe_view.default, aten.reshape.default, aten._reshape_alias.default,
    aten.unsqueeze.default, aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims,
)  # fmt: skip
def reshape(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return reshaped(walk, walk.ref(node.args[0]), shape_of(node))


@emits(
    aten.clone.default, aten.detach.default, aten.alias.default, aten.contiguous.default,
    aten.lift_fresh_copy.default,
)  # fmt: skip
def alias(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return walk.ref(node.args[0])


@emits(aten.t.default, aten.transpose.int, aten.permute.default)
def transpose(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    x = walk.ref(node.args[0])
    rank = len(x.shape)
    perm = list(range(rank))
    if node.target == aten.permute.default:
        perm = [int(i) % rank for i in node.args[1]]  # type: ignore[union-attr, arg-type]
    elif rank > 1:
        i, j = (int(a) % rank for a in node.args[1:3]) if len(node.args) > 1 else (0, 1)  # type: ignore[arg-type]
        perm[i], perm[j] = j, i
    maker = walk.builder.makers.get(x.name)
    if maker is not None and maker.op_type == "Transpose":
        before = list(maker.attribute[0].ints)
        x = walk.builder.refs.get(maker.input[0]) or walk.builder.inputs[maker.input[0]]
        perm = [before[i] for i in perm]
    if perm == sorted(perm):
        return x
    # Moving axes of length one moves nothing.
    if [i for i in perm if x.shape[i] != 1] == [i for i in range(rank) if x.shape[i] != 1]:
        return reshaped(walk, x, shape_of(node))
    return walk.builder.one("Transpose", [x.name], shape_of(node), kind=x.kind, perm=perm)


@emits(aten.expand.default)
def expand(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return expanded(walk, walk.ref(node.args[0]), shape_of(node))


def expanded(walk: Walk, x: Ref, shape: Shape) -> Ref:
    """Broadcast to ``shape``; where no element is repeated, a reshape."""
    if prod(shape) == prod(x.shape):
        return reshaped(walk, x, shape)
    return walk.builder.one("Expand", [x.name, walk.builder.constant(shape, int)], shape, kind=x.kind)


@emits(aten.copy.default)
def copy(walk: Walk, node: fx.Node) -> Value:
    """The second argument in the shape of the first."""
    return expanded(walk, walk.ref(node.args[1]), shape_of(node))


@emits(aten.cat.default)
def cat(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    shape = shape_of(node)
    parts = [walk.ref(a) for a in node.args[0]]  # type: ignore[union-attr]
    parts = [p for p in parts if prod(p.shape)]
    axis = int(walk.argument(node, 1, "dim", 0)) % len(shape)
    return (
        parts[0] if len(parts) == 1 else walk.builder.one("Concat", [p.name for p in parts], shape, axis=axis)
    )


@emits(aten.stack.default)
def stack(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    shape = shape_of(node)
    axis = int(walk.argument(node, 1, "dim", 0)) % len(shape)
    part = (*shape[:axis], 1, *shape[axis + 1 :])
    parts = [reshaped(walk, walk.ref(a), part).name for a in node.args[0]]  # type: ignore[union-attr]
    return walk.builder.one("Concat", parts, shape, axis=axis)


def sliced(walk: Walk, x: Ref, axis: int, start: int, end: int) -> Ref:
    """Elements ``start`` up to ``end`` along an axis."""
    if (start, end) == (0, x.shape[axis]):
        return x
    shape = (*x.shape[:axis], end - start, *x.shape[axis + 1 :])
    limits = [walk.builder.constant([v], int) for v in (start, end, axis)]
    return walk.builder.one("Slice", [x.name, *limits], shape, kind=x.kind)


@emits(aten.split.Tensor, aten.unsafe_split.Tensor, aten.split_with_sizes.default, aten.unbind.int)
def split(walk: Walk, node: fx.Node) -> list[Value]:
    """``Split``; unbind drops the axis afterwards."""
    x = walk.ref(node.args[0])
    shapes = [tuple(int(n) for n in v.shape) for v in node.meta["val"]]
    unbind = node.target == aten.unbind.int
    axis = int(walk.argument(node, 1 if unbind else 2, "dim", 0)) % len(x.shape)
    if len(shapes) == 1:
        return [reshaped(walk, x, shapes[0])]
    lengths = [1 if unbind else s[axis] for s in shapes]
    parts = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in lengths]
    sizes = walk.builder.constant(lengths, int)
    found = walk.builder.add("Split", [x.name, sizes], parts, kind=x.kind, axis=axis)
    return [reshaped(walk, part, shape) for part, shape in zip(found, shapes, strict=True)]


@emits(aten.select.int)
def select(walk: Walk, node: fx.Node) -> Value:
    """A slice of one, without its axis."""
    x = walk.ref(node.args[0])
    axis = int(node.args[1]) % len(x.shape)  # type: ignore[arg-type]
    i = int(node.args[2]) % x.shape[axis]  # type: ignore[arg-type]
    return reshaped(walk, sliced(walk, x, axis, i, i + 1), shape_of(node))
