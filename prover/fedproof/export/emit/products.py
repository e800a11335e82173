"""Matrix products, convolutions, lookups of rows, sums and maxima."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, fx

from fedproof.export.emit.builder import Ref
from fedproof.export.emit.context import Value, Walk, emits, shape_of, through_reshapes, uniform
from fedproof.export.emit.elementwise import as_float, binary
from fedproof.export.emit.movement import expanded, reshaped
from fedproof.export.emit.places import accumulation, placed
from fedproof.export.operators import OPS

aten = torch.ops.aten
Shape = tuple[int, ...]


@emits(aten.mm.default, aten.bmm.default, aten.mv.default, aten.dot.default)
def matmul(walk: Walk, node: fx.Node) -> Value:
    """``MatMul``; with zeros, such as the first state of a recurrent cell, it is zero."""
    if any(uniform(walk.value(a)) == 0 for a in node.args):
        return torch.zeros(shape_of(node))
    return walk.builder.one("MatMul", [walk.ref(a).name for a in node.args], shape_of(node))


@emits(aten.addmm.default)
def addmm(walk: Walk, node: fx.Node) -> Value:
    """``Gemm(a, b, bias)``; other factors than one are spelled out."""
    bias, a, b = (walk.value(x) for x in node.args)
    shape = shape_of(node)
    beta, alpha = (torch.tensor(float(node.kwargs.get(k, 1))) for k in ("beta", "alpha"))  # type: ignore[arg-type]
    if uniform(a) == 0 or uniform(b) == 0:
        return expanded(walk, walk.ref(binary(walk, "Mul", bias, beta, tuple(bias.shape))), shape)
    if beta == alpha == 1:
        return walk.builder.one("Gemm", [walk.ref(v).name for v in (a, b, bias)], shape)
    product = walk.builder.one("MatMul", [walk.ref(a).name, walk.ref(b).name], shape)
    scaled = binary(walk, "Mul", bias, beta, tuple(bias.shape))
    return binary(walk, "Add", binary(walk, "Mul", product, alpha, shape), scaled, shape)


@emits(aten.convolution.default)
def convolution(walk: Walk, node: fx.Node) -> Value:
    """``Conv`` or ``ConvTranspose`` in two dimensions."""
    x, w, bias, stride, padding, dilation, transposed, outward, groups = node.args
    inputs = [walk.ref(x).name, walk.ref(w).name] + ([] if bias is None else [walk.ref(bias).name])
    common = {
        "strides": list(stride),  # type: ignore[arg-type]
        "pads": [*padding, *padding],  # type: ignore[misc]
        "dilations": list(dilation),  # type: ignore[arg-type]
        "group": groups,
    }
    if transposed:
        common["output_padding"] = list(outward)  # type: ignore[arg-type]
    return walk.builder.one("ConvTranspose" if transposed else "Conv", inputs, shape_of(node), **common)


def _one_hot(walk: Walk, ids: Ref, depth: int) -> Ref:
    return walk.builder.own("OneHot", [ids.name], (*ids.shape, depth), depth=depth)


@emits(OPS.one_hot.default)
def one_hot(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return _one_hot(walk, walk.ref(node.args[0]), int(node.args[1]))  # type: ignore[arg-type]


@emits(aten.embedding.default)
def embedding(walk: Walk, node: fx.Node) -> Value:
    """One-hot rows times the table (V, d); constant ids pick its rows."""
    table, ids, shape = walk.ref(node.args[0]), walk.value(node.args[1]), shape_of(node)
    if isinstance(ids, Tensor):
        return walk.builder.one(
            "Gather", [table.name, walk.builder.constant(ids.numpy(), int)], shape, axis=0
        )
    rows = _one_hot(walk, ids, table.shape[0])
    return walk.builder.one("MatMul", [rows.name, table.name], shape)


@emits(aten.embedding_dense_backward.default)
def embedding_backward(walk: Walk, node: fx.Node) -> Value:
    """The transposed one-hot rows times the gradient (..., d), except at the padding row."""
    g, ids, rows, padding, by_frequency = node.args
    if by_frequency:
        raise walk.refusal(node, "scales by frequency", "use scale_grad_by_freq=False")
    gradient, ids, shape = walk.ref(g), walk.value(ids), shape_of(node)
    width = shape[1]
    flat = walk.ref(reshaped(walk, gradient, (prod(gradient.shape) // width, width)))
    if isinstance(ids, Tensor):
        known = ids.reshape(-1)
        at_padding = known.eq(walk.argument(node, 3, "padding_idx"))[:, None]
        places = (known[:, None] * width + torch.arange(width)).masked_fill(at_padding, -1)
        whole = reshaped(walk, flat, (prod(flat.shape),))
        return reshaped(walk, placed(walk, whole, places.reshape(-1), prod(shape)), shape)
    onehot = reshaped(walk, _one_hot(walk, ids, int(rows)), (flat.shape[0], int(rows)))  # type: ignore[arg-type]
    turned = walk.builder.one("Transpose", [onehot.name], (int(rows), flat.shape[0]), perm=[1, 0])  # type: ignore[arg-type]
    result: Value = walk.builder.one("MatMul", [turned.name, flat.name], shape)
    if int(padding) >= 0:  # type: ignore[arg-type]
        keep = torch.ones(shape[0], 1)
        keep[int(padding)] = 0  # type: ignore[arg-type]
        result = binary(walk, "Mul", result, keep, shape)
    return result


def summed(walk: Walk, x: Ref, axes: list[int], shape: Shape, keep: bool) -> Value:
    """``ReduceSum``; over axes of length one it is a reshape."""
    if all(x.shape[a] == 1 for a in axes):
        return reshaped(walk, x, shape)
    constant = walk.builder.constant(axes, int)
    return walk.builder.one("ReduceSum", [x.name, constant], shape, keepdims=int(keep))


def _axes(walk: Walk, node: fx.Node, rank: int) -> tuple[list[int], bool]:
    dims, keep = walk.argument(node, 1, "dim"), walk.argument(node, 2, "keepdim", False)
    dims = [dims] if isinstance(dims, int) else dims
    return (sorted(int(d) % rank for d in dims) if dims else list(range(rank))), bool(keep)


@emits(aten.sum.default, aten.sum.dim_IntList)
def total(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    x = as_float(walk, walk.ref(node.args[0]))
    assert isinstance(x, Ref)
    axes, keep = _axes(walk, node, len(x.shape))
    return summed(walk, x, axes, shape_of(node), keep)


@emits(aten.mean.default, aten.mean.dim)
def mean(walk: Walk, node: fx.Node) -> Value:
    """A sum times a constant."""
    x = walk.ref(node.args[0])
    axes, keep = _axes(walk, node, len(x.shape))
    shape = shape_of(node)
    share = torch.tensor(1 / prod(x.shape[a] for a in axes), dtype=torch.float64)
    return binary(walk, "Mul", summed(walk, x, axes, shape, keep), share, shape)


@emits(aten.cumsum.default)
def cumulative(walk: Walk, node: fx.Node) -> Value:
    """A product with a constant triangle, along the last axis."""
    x, dim = walk.ref(node.args[0]), int(node.args[1])  # type: ignore[arg-type]
    if dim % len(x.shape) != len(x.shape) - 1:
        raise walk.refusal(node, "sums along an inner axis", "transpose it to the last")
    triangle = walk.builder.constant(torch.ones(x.shape[-1], x.shape[-1]).triu().numpy())
    return walk.builder.one("MatMul", [x.name, triangle], x.shape)


@emits(OPS.max_last.default)
def max_last(walk: Walk, node: fx.Node) -> list[Value]:  # noqa: D103
    x = walk.ref(node.args[0])
    return list(walk.builder.add("MaxLast", [x.name], [x.shape[:-1], x.shape], domain="fedproof"))


@emits(OPS.place_of_max.default)
def place_of_max(walk: Walk, node: fx.Node) -> Value:
    """No tensor of the graph: only :func:`scatter` may use it."""
    return Ref(f"place of the maximum of {walk.ref(node.args[0]).name}", shape_of(node), "int")


@emits(aten.scatter.src)
def scatter(walk: Walk, node: fx.Node) -> Value:
    """The gradient of a maximum along an axis; with constant places, a movement."""
    if not isinstance(walk.values[node.args[2]], Ref):  # type: ignore[index]
        return accumulation(walk, node)
    base, axis = walk.values[node.args[0]], int(node.args[1])  # type: ignore[index, arg-type]
    place = through_reshapes(node.args[2])
    shape = shape_of(node)
    turned = isinstance(place, fx.Node) and place.target == aten.transpose.int
    place = through_reshapes(place.args[0]) if turned else place
    if uniform(base) != 0 or not isinstance(place, fx.Node) or place.target != OPS.place_of_max.default:
        raise walk.refusal(node, "writes where the data say", "use a one-hot product instead")
    x = walk.ref(place.args[0])
    _, onehot = walk.builder.add("MaxLast", [x.name], [x.shape[:-1], x.shape], domain="fedproof")
    if turned:
        perm = list(range(len(shape)))
        perm[axis], perm[-1] = perm[-1], perm[axis]
        onehot = walk.builder.one("Transpose", [onehot.name], shape, perm=perm)
    return binary(walk, "Mul", walk.ref(node.args[3]), onehot, shape)
