"""Tables, and softmax in all the guises that gradients give it."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from fedproof.errors import CallerError
from fedproof.export.emit.builder import Ref
from fedproof.export.emit.context import ALIASES, Value, Walk, emits, packet_of, shape_of, through_reshapes
from fedproof.export.emit.elementwise import binary
from fedproof.export.operators import OPS

aten = torch.ops.aten
#: What hides an element from a softmax is minus infinity, or so little (-1e4, -1e9, the least float) that
#: its power of e is zero beside any other: the same, but for a row that is hidden whole.
_HIDDEN = -1e4
_TRANSPOSES = (aten.transpose.int, aten.permute.default)


@emits(OPS.table.default)
def table(walk: Walk, node: fx.Node) -> Value:
    """``Table_NAME``; but exp(log_softmax(x)) and exp(x - logsumexp(x)) are softmax(x)."""
    x, name = node.args
    if name == "exp" and isinstance(x, fx.Node):
        inner = x
        while inner.target in _TRANSPOSES and isinstance(inner.args[0], fx.Node):
            inner = inner.args[0]
        if inner.target == OPS.log_softmax.default:
            return _moved(walk, x, inner)
        if x.target == aten.sub.Tensor:
            total = through_reshapes(x.args[1])
            own = isinstance(total, fx.Node) and total.target == OPS.log_sum_exp.default
            if own and total.args[0] is x.args[0]:
                return softmax_of(walk, x.args[0], shape_of(node))
    return walk.builder.own(f"Table_{name}", [walk.ref(x).name], shape_of(node))


def _moved(walk: Walk, outer: fx.Node, inner: fx.Node) -> Value:
    """The softmax of ``inner``'s argument, under the transposes between ``inner`` and ``outer``."""
    if outer is inner:
        return softmax_of(walk, inner.args[0], shape_of(inner))
    under = _moved(walk, outer.args[0], inner)  # type: ignore[arg-type]
    rank = len(shape_of(outer))
    if outer.target == aten.permute.default:
        perm = [int(i) % rank for i in outer.args[1]]  # type: ignore[union-attr, arg-type]
    else:
        perm = list(range(rank))
        i, j = (int(a) % rank for a in outer.args[1:3])  # type: ignore[arg-type]
        perm[i], perm[j] = j, i
    return walk.builder.one("Transpose", [walk.ref(under).name], shape_of(outer), perm=perm)


def _masked(walk: Walk, node: object) -> tuple[Value, Tensor] | None:
    """What is hidden by a constant mask: the values, and where they stay."""
    while packet_of(node) in ALIASES:
        node = node.args[0]  # type: ignore[attr-defined]
    packet = packet_of(node)
    if not isinstance(node, fx.Node):
        return None
    if packet is aten.masked_fill:
        x, mask, fill = (walk.value(a) for a in node.args)
        if isinstance(mask, Tensor) and bool((fill <= _HIDDEN).all()):
            return x, mask.logical_not()
    if packet is aten.where:
        mask, a, b = (walk.value(v) for v in node.args)
        if isinstance(mask, Tensor):
            for x, other, kept in ((a, b, mask), (b, a, mask.logical_not())):
                if isinstance(x, Ref) and isinstance(other, Tensor) and bool((other <= _HIDDEN).all()):
                    return x, kept
    if packet is aten.add:
        a, b = (walk.value(v) for v in node.args)
        a, b = (b, a) if isinstance(a, Tensor) else (a, b)
        if isinstance(b, Tensor) and bool((b <= _HIDDEN).any()):
            kept = b > _HIDDEN
            rest = torch.where(kept, b, 0.0)
            shape = shape_of(node)
            return binary(walk, "Add", a, rest, shape), kept
    return None


def softmax_of(walk: Walk, node: object, shape: tuple[int, ...]) -> Value:
    """``Softmax``, or ``SoftmaxMasked`` with a constant 0/1 tensor, broadcastable to ``shape``."""
    found = _masked(walk, node)
    if found is None:
        return walk.builder.own("Softmax", [walk.ref(node).name], shape)
    x, kept = found
    if bool(kept.all()):
        return walk.builder.own("Softmax", [walk.ref(x).name], shape)
    if not bool(kept.any(-1).all()):
        raise CallerError("a softmax over a row that is masked out whole", hint="keep one element a row")
    keep = walk.builder.constant(kept.double().numpy())
    return walk.builder.own("SoftmaxMasked", [walk.ref(x).name, keep], shape)


@emits(OPS.softmax.default)
def softmax(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return softmax_of(walk, node.args[0], shape_of(node))


@emits(OPS.log_softmax.default)
def log_softmax(walk: Walk, node: fx.Node) -> Value:
    """The logarithm of softmax: only where its value is an output, gradients need softmax alone."""
    return _logarithm(walk, softmax_of(walk, node.args[0], shape_of(node)))


@emits(OPS.log_sum_exp.default)
def log_sum_exp(walk: Walk, node: fx.Node) -> Value:
    """``log sum exp x``: likewise only as an output."""
    x = walk.ref(node.args[0])
    axis = walk.builder.constant([-1], int)
    powers = walk.builder.own("Table_exp", [x.name], x.shape)
    total = walk.builder.one("ReduceSum", [powers.name, axis], shape_of(node), keepdims=1)
    return _logarithm(walk, total)


def _logarithm(walk: Walk, value: Value) -> Value:
    x = walk.ref(value)
    return walk.builder.own("Table_log", [x.name], x.shape)
