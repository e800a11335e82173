"""Movement by constant places: what is neither a reshape nor a transpose."""

from __future__ import annotations

from math import prod
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from fedproof.export.emit.builder import Ref
from fedproof.export.emit.context import Argument, Value, Walk, emits, shape_of
from fedproof.export.emit.movement import reshaped, sliced
from fedproof.export.operators import OPS

aten = torch.ops.aten
Shape = tuple[int, ...]

#: Operators each of whose results is one element of the argument, or zero.
_MOVEMENTS = """
    index.Tensor index_select.default gather.default take.default flip.default roll.default repeat.default
    as_strided.default as_strided_scatter.default unfold.default diagonal.default diag_embed.default
    slice_backward.default select_backward.default diagonal_backward.default slice_scatter.default
    select_scatter.default tril.default triu.default constant_pad_nd.default im2col.default
    reflection_pad1d.default reflection_pad2d.default replication_pad1d.default replication_pad2d.default
    upsample_nearest1d.default upsample_nearest1d.vec upsample_nearest2d.default upsample_nearest2d.vec
    pixel_shuffle.default pixel_unshuffle.default channel_shuffle.default
"""
#: Operators that add each element of the argument up in one place.
_ACCUMULATIONS = """
    unfold_backward.default col2im.default upsample_nearest1d_backward.default
    upsample_nearest2d_backward.default reflection_pad1d_backward.default reflection_pad2d_backward.default
    replication_pad1d_backward.default replication_pad2d_backward.default index_put.default
    _unsafe_index_put.default index_add.default scatter_add.default
"""


def _operators(names: str) -> list[Any]:
    return [attrgetter(name)(aten) for name in names.split()]


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


def _with(walk: Walk, node: fx.Node, replace: dict[fx.Node, Tensor]) -> Argument:
    """Run the operator on other tensors, its constants as they are."""

    def value(n: fx.Node) -> Argument:
        return replace[n] if n in replace else walk.values[n]

    target: Any = node.target
    return target(*fx.node.map_arg(node.args, value), **fx.node.map_arg(node.kwargs, value))


@emits(*_operators(_MOVEMENTS))
def movement(walk: Walk, node: fx.Node) -> Value:
    """Run the operator on the places of its elements, counted from one (zero stays zero), and gather them."""
    sources = [n for n in node.all_input_nodes if isinstance(walk.values[n], Ref)]
    refs = [walk.values[n] for n in sources]
    if any(ref.kind != "float" and n is not node.args[0] for n, ref in zip(sources, refs, strict=True)):
        raise walk.refusal(node, "takes elements where the data say", "use torch.where or a one-hot product")
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


@emits(*_operators(_ACCUMULATIONS))
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
