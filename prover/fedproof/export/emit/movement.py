"""Movement of elements: reshapes and transposes, and everything else as a choice of constant places."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from fedproof.export.emit.builder import Ref
from fedproof.export.emit.context import Value, Walk, emits, shape_of
from fedproof.export.operators import OPS

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
    x, shape = walk.ref(node.args[0]), shape_of(node)
    if prod(shape) == prod(x.shape):
        return reshaped(walk, x, shape)
    return walk.builder.one("Expand", [x.name, walk.builder.constant(shape, int)], shape, kind=x.kind)


@emits(aten.copy.default)
def copy(walk: Walk, node: fx.Node) -> Value:
    """The second argument in the shape of the first."""
    x, shape = walk.ref(node.args[1]), shape_of(node)
    if x.shape == shape:
        return x
    return walk.builder.one("Expand", [x.name, walk.builder.constant(shape, int)], shape, kind=x.kind)


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


@emits(aten.slice.Tensor)
def slice_(walk: Walk, node: fx.Node) -> Value:
    """``Slice`` of consecutive elements."""
    x = walk.ref(node.args[0])
    axis = int(walk.argument(node, 1, "dim", 0)) % len(x.shape)
    start, end, step = (walk.argument(node, i, n) for i, n in ((2, "start"), (3, "end"), (4, "step")))
    if (step or 1) != 1:
        return movement(walk, node)
    low, high, _ = slice(start, end).indices(x.shape[axis])
    return sliced(walk, x, axis, low, max(low, high))


@emits(aten.select.int)
def select(walk: Walk, node: fx.Node) -> Value:
    """A slice of one, without its axis."""
    x = walk.ref(node.args[0])
    axis = int(node.args[1]) % len(x.shape)  # type: ignore[arg-type]
    i = int(node.args[2]) % x.shape[axis]  # type: ignore[arg-type]
    return reshaped(walk, sliced(walk, x, axis, i, i + 1), shape_of(node))


def picked(walk: Walk, x: Ref, places: Tensor, shape: Shape) -> Ref:
    """``x[..., places]`` as ``shape``, with zeros where a place is -1."""
    flat = places.reshape(-1).numpy().astype(np.int64)
    n = x.shape[-1]
    result = (*x.shape[:-1], len(flat))
    if np.array_equal(flat, np.arange(n)):
        return reshaped(walk, x, shape)
    if (flat < 0).any():
        zero = walk.builder.constant(np.zeros((*x.shape[:-1], 1)))
        x = walk.builder.one("Concat", [x.name, zero], (*x.shape[:-1], n + 1), axis=-1)
        flat = np.where(flat < 0, n, flat)
    index = walk.builder.constant(flat, int)
    return reshaped(walk, walk.builder.one("Gather", [x.name, index], result, axis=-1), shape)


def placed(walk: Walk, x: Ref, places: Tensor, size: int) -> Ref:
    """The adjoint of :func:`picked`: (..., k) to (..., size), elements with one place are added up."""
    flat = places.reshape(-1).numpy().astype(np.int64)
    sources: list[list[int]] = [[] for _ in range(size)]
    for i, place in enumerate(flat):
        if place >= 0:
            sources[place].append(i)
    most = max((len(s) for s in sources), default=0) or 1
    table = torch.tensor([s + [-1] * (most - len(s)) for s in sources])
    shape = (*x.shape[:-1], size)
    if most == 1:
        return picked(walk, x, table, shape)
    parts = picked(walk, x, table, (*shape, most))
    return walk.builder.one("ReduceSum", [parts.name, walk.builder.constant([-1], int)], shape, keepdims=0)


@emits(OPS.pick.default)
def pick(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return picked(walk, walk.ref(node.args[0]), walk.values[node.args[1]], shape_of(node))  # type: ignore[index]


@emits(OPS.place.default)
def place(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return placed(walk, walk.ref(node.args[0]), walk.values[node.args[1]], int(node.args[2]))  # type: ignore[index, arg-type]


def _flattened(walk: Walk, x: Ref) -> Ref:
    return reshaped(walk, x, (prod(x.shape),))


def _with(walk: Walk, node: fx.Node, replace: dict[fx.Node, Tensor]) -> Any:  # noqa: ANN401
    """Run the operator on other tensors, its constants as they are."""

    def value(n: fx.Node) -> Any:  # noqa: ANN401
        return replace[n] if n in replace else walk.values[n]

    target: Any = node.target
    return target(*fx.node.map_arg(node.args, value), **fx.node.map_arg(node.kwargs, value))


@emits(
    aten.index.Tensor, aten.index_select.default, aten.gather.default, aten.take.default, aten.flip.default,
    aten.roll.default, aten.repeat.default, aten.as_strided.default, aten.unfold.default, aten.diagonal.default,
    aten.diag_embed.default, aten.slice_backward.default, aten.select_backward.default, aten.tril.default,
    aten.triu.default, aten.constant_pad_nd.default, aten.reflection_pad1d.default, aten.reflection_pad2d.default,
    aten.replication_pad1d.default, aten.replication_pad2d.default, aten.upsample_nearest1d.default,
    aten.upsample_nearest1d.vec, aten.upsample_nearest2d.default, aten.upsample_nearest2d.vec,
    aten.pixel_shuffle.default, aten.pixel_unshuffle.default, aten.im2col.default, aten.diagonal_backward.default,
    aten.slice_scatter.default, aten.select_scatter.default, aten.channel_shuffle.default,
    aten.as_strided_scatter.default,
)  # fmt: skip
def movement(walk: Walk, node: fx.Node) -> Value:
    """Run the operator on the places of its elements, counted from one (zero stays zero), and gather them."""
    sources = [n for n in node.all_input_nodes if isinstance(walk.values[n], Ref)]
    refs = [walk.values[n] for n in sources]
    constants = [n for n in node.all_input_nodes if isinstance(walk.values[n], Tensor)]
    for n in constants:
        moved = walk.values[n].is_floating_point()
        if moved and bool((walk.values[n] != 0).any()):
            raise walk.refusal(node, "mixes constants into a movement", "add them instead")
    if node.target == aten.constant_pad_nd.default and (walk.argument(node, 2, "value", 0) or 0) != 0:
        raise walk.refusal(node, "pads with another number than zero", "pad with zero and add the rest")
    places, start = {}, 1
    for n, ref in zip(sources, refs, strict=True):
        count = prod(ref.shape)
        places[n] = torch.arange(start, start + count, dtype=torch.float64).reshape(ref.shape)
        start += count
    places |= {n: walk.values[n].double() for n in constants if walk.values[n].is_floating_point()}
    moved = _with(walk, node, places).long() - 1
    parts = [_flattened(walk, ref) for ref in refs]
    flat = parts[0]
    if len(parts) > 1:
        flat = walk.builder.one("Concat", [p.name for p in parts], (start - 1,), axis=0)
    return picked(walk, flat, moved, shape_of(node))


@emits(
    aten.unfold_backward.default, aten.upsample_nearest1d_backward.default, aten.col2im.default,
    aten.upsample_nearest2d_backward.default, aten.reflection_pad1d_backward.default,
    aten.reflection_pad2d_backward.default, aten.replication_pad1d_backward.default,
    aten.replication_pad2d_backward.default, aten.index_put.default, aten.index_add.default,
    aten.scatter_add.default, aten._unsafe_index_put.default,
)  # fmt: skip
def accumulation(walk: Walk, node: fx.Node) -> Value:
    """An operator that adds each element up in one place: its own gradient says in which."""
    sources = [n for n in node.all_input_nodes if isinstance(walk.values[n], Ref)]
    if len(sources) == 2 and "pad" in str(node.target):
        sources = sources[:1]  # the second is there for its shape
    if len(sources) != 1:
        raise walk.refusal(node, "adds to a tensor that depends on the inputs", "add the results instead")
    for n in node.all_input_nodes:
        known = walk.values[n]
        if isinstance(known, Tensor) and known.is_floating_point() and bool((known != 0).any()):
            raise walk.refusal(node, "adds to a constant", "add the results instead")
    ref = walk.values[sources[0]]
    others = {
        n: torch.zeros(walk.values[n].shape, dtype=torch.float64)
        for n in node.all_input_nodes
        if isinstance(walk.values[n], Ref) or walk.values[n].is_floating_point()
    }
    shape = shape_of(node)
    size = prod(shape)
    probe = torch.zeros(ref.shape, dtype=torch.float64, requires_grad=True)
    result = _with(walk, node, others | {sources[0]: probe})
    weights = torch.arange(1, size + 1, dtype=torch.float64).reshape(shape)
    (places,) = torch.autograd.grad(result, probe, weights)
    flat = _flattened(walk, ref)
    return reshaped(walk, placed(walk, flat, places.long() - 1, size), shape)
