"""Sums, products, comparisons, choices, and tables of one variable."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from fedproof.errors import CallerError
from fedproof.export.emit.builder import Ref
from fedproof.export.emit.context import Emitter, Value, Walk, emits, packet_of, shape_of, uniform
from fedproof.export.operators import OPS

aten = torch.ops.aten
Shape = tuple[int, ...]


def as_float(walk: Walk, value: Value) -> Value:
    """A mask as zeros and ones."""
    if isinstance(value, Tensor):
        return value.double()
    if value.kind == "bool":
        return walk.builder.one("Cast", [value.name], value.shape, to=1)
    return value


def _bare(walk: Walk, value: Value, other: Shape, shape: Shape) -> Value:
    """Leave out an Expand that broadcasting does anyway; make a uniform constant a scalar."""
    number = uniform(value)
    if number is not None and other == shape:
        return torch.tensor(number, dtype=torch.float64)
    if isinstance(value, Ref) and value.name in walk.builder.makers:
        maker = walk.builder.makers[value.name]
        if maker.op_type == "Expand":
            small = walk.builder.refs.get(maker.input[0]) or walk.builder.inputs[maker.input[0]]
            if np.broadcast_shapes(small.shape, other) == shape:
                return small
    return value


def _pair(walk: Walk, a: Value, b: Value, shape: Shape) -> tuple[Value, Value]:
    a, b = as_float(walk, a), as_float(walk, b)
    a = _bare(walk, a, tuple(b.shape), shape)
    return a, _bare(walk, b, tuple(a.shape), shape)


def binary(walk: Walk, op_type: str, a: Value, b: Value, shape: Shape) -> Value:
    """``a op b`` for Add, Sub, Mul or Div, with neutral constants left out and factors multiplied up."""
    a, b = _pair(walk, a, b, shape)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        known: Any = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}[op_type]
        result: Tensor = known(a, b).expand(shape)
        return result
    if op_type == "Mul":
        return multiplied(walk, a, b, shape)
    if op_type == "Div":
        return _divided(walk, a, b, shape)
    if uniform(b) == 0 and tuple(a.shape) == shape:
        return a
    if uniform(a) == 0 and tuple(b.shape) == shape:
        return b if op_type == "Add" else negated(walk, b)
    return walk.builder.one(op_type, [walk.ref(a).name, walk.ref(b).name], shape)


def multiplied(walk: Walk, a: Value, b: Value, shape: Shape) -> Value:
    """``a b``; a number times a number times a tensor is one product."""
    if isinstance(a, Tensor):
        a, b = b, a
    number = uniform(b)
    if isinstance(a, Ref) and isinstance(b, Tensor) and number is not None:
        maker = walk.builder.makers.get(a.name)
        if maker is not None and maker.op_type == "Mul" and maker.input[1] in walk.builder.constants:
            before = walk.builder.constants[maker.input[1]]
            inner = walk.builder.refs.get(maker.input[0]) or walk.builder.inputs.get(maker.input[0])
            if before.ndim == 0 and inner is not None and inner.shape == a.shape:
                return multiplied(walk, inner, torch.tensor(number * float(before)).double(), shape)
        if number == 1 and a.shape == shape:
            return a
        if number == 0:
            return torch.zeros(shape)
        if number == -1 and a.shape == shape:
            return negated(walk, a)
    return walk.builder.one("Mul", [walk.ref(a).name, walk.ref(b).name], shape)


def negated(walk: Walk, x: Value) -> Value:
    """``-x``; twice is nothing."""
    x = as_float(walk, x)
    if isinstance(x, Tensor):
        return -x
    maker = walk.builder.makers.get(x.name)
    if maker is not None and maker.op_type == "Neg":
        return walk.builder.refs.get(maker.input[0]) or walk.builder.inputs[maker.input[0]]
    return walk.builder.one("Neg", [x.name], x.shape)


def _divided(walk: Walk, a: Value, b: Value, shape: Shape) -> Value:
    if isinstance(b, Tensor):
        return binary(walk, "Mul", a, 1 / b, shape)
    maker = walk.builder.makers.get(b.name)
    if maker is not None and maker.op_type == "Table_sqrt":
        return binary(walk, "Mul", a, walk.builder.own("Rsqrt", [maker.input[0]], b.shape), shape)
    if uniform(a) == 1 and b.shape == shape:
        return walk.builder.own("Table_reciprocal", [b.name], shape)
    return walk.builder.one("Div", [walk.ref(a).name, b.name], shape)


def _emit_binary(op_type: str, *, swapped: bool = False) -> Emitter:
    def emitter(walk: Walk, node: fx.Node) -> Value:
        a, b = (walk.value(x) for x in node.args[:2])
        alpha = walk.argument(node, 2, "alpha", 1)
        if swapped:
            a, b = b, a
        if alpha != 1:
            scaled = walk.value(node.args[0] if swapped else node.args[1])
            scaled = binary(walk, "Mul", scaled, torch.tensor(float(alpha)), tuple(scaled.shape))
            a, b = (scaled, b) if swapped else (a, scaled)
        return binary(walk, op_type, a, b, shape_of(node))

    return emitter


emits(aten.add.Tensor, aten.add.Scalar)(_emit_binary("Add"))
emits(aten.sub.Tensor, aten.sub.Scalar)(_emit_binary("Sub"))
emits(aten.rsub.Tensor, aten.rsub.Scalar)(_emit_binary("Sub", swapped=True))
emits(aten.mul.Tensor, aten.mul.Scalar)(_emit_binary("Mul"))
emits(aten.div.Tensor, aten.div.Scalar)(_emit_binary("Div"))


@emits(aten.neg.default)
def neg(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return negated(walk, walk.value(node.args[0]))


@emits(aten.addcmul.default)
def addcmul(walk: Walk, node: fx.Node) -> Value:
    """``a + value b c``."""
    a, b, c = (walk.value(x) for x in node.args[:3])
    shape = shape_of(node)
    product = binary(walk, "Mul", b, c, tuple(np.broadcast_shapes(b.shape, c.shape)))
    factor = torch.tensor(float(walk.argument(node, 3, "value", 1)))
    product = binary(walk, "Mul", product, factor, tuple(product.shape))
    return binary(walk, "Add", a, product, shape)


@emits(aten.relu.default)
def relu(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return walk.builder.one("Relu", [walk.ref(node.args[0]).name], shape_of(node))


@emits(aten.clamp.default)
def clip(walk: Walk, node: fx.Node) -> Value:
    """Both limits are numbers: the rest has been decomposed."""
    bounds = [walk.builder.constant(float(x)) for x in node.args[1:3]]  # type: ignore[arg-type]
    return walk.builder.one("Clip", [walk.ref(node.args[0]).name, *bounds], shape_of(node))


_COMPARISONS = {
    "gt": ("Greater", "LessOrEqual"),
    "lt": ("Less", "GreaterOrEqual"),
    "ge": ("GreaterOrEqual", "Less"),
    "le": ("LessOrEqual", "Greater"),
    "eq": ("Equal", None),
}


def _comparison(walk: Walk, node: fx.Node, *, inverted: bool = False) -> Ref:
    """Against a constant; of two tensors, the difference against zero."""
    op_type = _COMPARISONS[node.target.overloadpacket.__name__][inverted]  # type: ignore[union-attr]
    if op_type is None:
        raise walk.refusal(node, "cannot be negated", "exchange the two branches")
    a, b = (as_float(walk, walk.value(x)) for x in node.args)
    shape = shape_of(node)
    if isinstance(a, Tensor) or isinstance(b, Ref):
        a, b = binary(walk, "Sub", a, b, shape), torch.tensor(0.0)
    a, b = _pair(walk, a, b, shape)
    return walk.builder.one(op_type, [walk.ref(a).name, walk.ref(b).name], shape, kind="bool")


@emits(*(getattr(aten, name) for name in _COMPARISONS))
def comparison(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return _comparison(walk, node)


@emits(aten.logical_not, aten.bitwise_not)
def negation(walk: Walk, node: fx.Node) -> Value:
    """The opposite comparison."""
    inner = node.args[0]
    if isinstance(inner, fx.Node) and getattr(inner.target, "overloadpacket", None) is not None:
        name = inner.target.overloadpacket.__name__  # type: ignore[union-attr]
        if name in _COMPARISONS:
            return _comparison(walk, inner, inverted=True)
    raise walk.refusal(node, "negates what is no comparison", "compare the other way round")


@emits(aten.logical_and, aten.bitwise_and, aten.logical_or, aten.bitwise_or)
def junction(walk: Walk, node: fx.Node) -> Value:
    """A product, or a sum, of masks above one half (a choice between two does without it)."""
    a, b = (as_float(walk, walk.value(x)) for x in node.args)
    op = "Mul" if packet_of(node) in (aten.logical_and, aten.bitwise_and) else "Add"
    joined = binary(walk, op, a, b, shape_of(node))
    half = walk.builder.constant(0.5)
    return walk.builder.one("Greater", [walk.ref(joined).name, half], shape_of(node), kind="bool")


def chosen(walk: Walk, condition: object, a: Value, b: Value, shape: Shape) -> Value:
    """``condition ? a : b``; two conditions are two choices."""
    if isinstance(condition, fx.Node):
        packet = getattr(condition.target, "overloadpacket", None)
        if packet in (aten.logical_and, aten.bitwise_and):
            first, second = condition.args
            return chosen(walk, first, chosen(walk, second, a, b, shape), b, shape)
        if packet in (aten.logical_or, aten.bitwise_or):
            first, second = condition.args
            return chosen(walk, first, a, chosen(walk, second, a, b, shape), shape)
        condition = walk.values[condition]
    a, b = as_float(walk, a), as_float(walk, b)
    if isinstance(condition, Tensor):
        if bool(condition.all()) and tuple(a.shape) == shape:
            return a
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return torch.where(condition, a, b)
    elif not isinstance(condition, Ref) or condition.kind != "bool":
        raise CallerError("a condition must be a comparison", hint="compare with a number")
    a, b = (_bare(walk, v, shape, shape) for v in (a, b))
    return walk.builder.one("Where", [walk.ref(v).name for v in (condition, a, b)], shape)


@emits(aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar)
def where(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return chosen(walk, node.args[0], walk.value(node.args[1]), walk.value(node.args[2]), shape_of(node))


@emits(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def masked_fill(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return chosen(walk, node.args[1], walk.value(node.args[2]), walk.value(node.args[0]), shape_of(node))


@emits(aten._to_copy.default)
def cast(walk: Walk, node: fx.Node) -> Value:
    """A mask becomes zeros and ones. Whole numbers stay in floats: an id in a sample is one already."""
    x, kind = walk.value(node.args[0]), node.kwargs.get("dtype")
    if kind == torch.bool:
        raise walk.refusal(node, "makes a condition of numbers", "compare with a number")
    if x.kind == "float" and kind is not None and not kind.is_floating_point:  # type: ignore[union-attr]
        return Ref(x.name, x.shape, "int")
    return as_float(walk, x)


@emits(OPS.rsqrt.default)
def rsqrt(walk: Walk, node: fx.Node) -> Value:  # noqa: D103
    return walk.builder.own("Rsqrt", [walk.ref(node.args[0]).name], shape_of(node))
