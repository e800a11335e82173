"""Comparisons with constants, and what is made of them. One comparison of one tensor is made once."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from fedproof.lowering.context import (
    Constant,
    Context,
    Joined,
    Predicate,
    UnsupportedOp,
    Value,
    attributes,
    lowers,
)
from fedproof.lowering.gadgets import commit
from fedproof.lowering.ir import IntArray, Node
from fedproof.lowering.masks import above, is_bit
from fedproof.lowering.ops.arithmetic import add_values


def thresholds(values: NDArray[np.float64], scale: int, bound: int, *, strict: bool) -> IntArray:
    """Integers k such that x > k exactly if x / 2**scale > values (or >=, not strict), for |x| <= bound."""
    real = np.asarray(values, dtype=np.float64) * 2.0**scale
    k = np.floor(real) if strict else np.ceil(real) - 1
    limited = np.clip(k, -float(bound) - 1, float(bound))
    flat = limited.ravel()
    return np.asarray(flat[:1] if flat.size and (flat == flat[0]).all() else limited).astype(np.int64)


def compared(
    ctx: Context, x: Node, values: NDArray[np.float64], label: str, *, strict: bool = True
) -> tuple[Node, Node, Node, IntArray]:
    """``(m, m * x, x, k)``: m = 1 where x > values (or >=), else 0; x in the format of its class; x > k."""
    # A comparison with zero proves the range of its argument, so the rescale need not.
    plain = strict and not np.any(values)
    x = ctx.narrow(x, f"{label} argument", ranged=not plain)
    k = thresholds(values, x.scale, x.bound, strict=strict)
    key = (x.id, k.tobytes())
    if key not in ctx.masks:
        reach = x.bound + int(np.abs(k).max())
        bits = (reach - 1).bit_length()
        if not ctx.is_leaf(x):
            # Bounds of what is not rescaled add up from worst cases: the declared range is what counts.
            bits = min(bits, max(ctx.numbers.range, ctx.numbers.table))
            bits = max(bits, int(np.abs(k).max()).bit_length() + 1 if k.any() else 0)
        m, a = above(ctx.program, x, k, bits, label)
        if plain:
            ctx.proven(x)
        ctx.masks[key] = m, a
        # max(x, 0) > 0 exactly where x > 0.
        if not k.any():
            ctx.masks[a.id, key[1]] = m, a
    m, a = ctx.masks[key]
    return m, a, x, k


def _mask(ctx: Context, node: onnx.NodeProto, *, strict: bool) -> Node:
    """Mask of input 0 above input 1 (or at it)."""
    a, b = (ctx.values[node.input[i]] for i in (0, 1))
    if not isinstance(b, Constant):
        a, b = add_values(ctx, node, a, b, subtract=True), Constant(np.zeros(()))
    x = ctx.materialise(a) if isinstance(a, Joined) else a
    if not isinstance(x, Node):
        raise UnsupportedOp(node, "one operand must be a tensor")
    ctx.demand_shape(node, b, x.shape)
    c = np.asarray(b.values, dtype=np.float64)
    if is_bit(ctx.program, x) and not x.scale:
        low = (c >= 0) if strict else (c > 0)
        if low.all() and ((c < 1) if strict else (c <= 1)).all():
            return x
    return compared(ctx, x, c, node.output[0], strict=strict)[0]


@lowers("Greater")
def greater(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x > c``."""
    return Predicate(_mask(ctx, node, strict=True), negated=False)


@lowers("GreaterOrEqual")
def greater_or_equal(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x >= c``."""
    return Predicate(_mask(ctx, node, strict=False), negated=False)


@lowers("Less")
def less(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x < c``."""
    return Predicate(_mask(ctx, node, strict=False), negated=True)


@lowers("LessOrEqual")
def less_or_equal(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x <= c``."""
    return Predicate(_mask(ctx, node, strict=True), negated=True)


@lowers("Equal")
def equal(ctx: Context, node: onnx.NodeProto) -> Value:
    """``x == c``: at c, and not above it. A c that x cannot be gives no one anywhere."""
    p = ctx.program
    at, over = _mask(ctx, node, strict=False), _mask(ctx, node, strict=True)
    return Predicate(commit(p, p.sub(at, over), node.output[0]), negated=False)


def as_bits(ctx: Context, value: Predicate) -> Node:
    """Return a predicate as a tensor of zeros and ones, at scale 0."""
    if not value.negated:
        return value.mask
    p = ctx.program
    return p.sub(p.const(np.ones(value.mask.shape, dtype=np.int64), 0), value.mask)


@lowers("Cast")
def cast(ctx: Context, node: onnx.NodeProto) -> Value:
    """A predicate as zeros and ones; numbers as they are."""
    value = ctx.values[node.input[0]]
    to = int(attributes(node)["to"])
    if isinstance(value, Constant):
        return Constant(value.values.astype(onnx.helper.tensor_dtype_to_np_dtype(to)))
    if to == onnx.TensorProto.BOOL:
        if isinstance(value, Predicate):
            return value
        raise UnsupportedOp(node, "a tensor of numbers is no condition; compare it")
    if isinstance(value, Predicate):
        return as_bits(ctx, value)
    if to not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16):
        raise UnsupportedOp(node, "numbers are not rounded to integers")
    return value


def _predicate(ctx: Context, node: onnx.NodeProto, i: int) -> Predicate:
    value = ctx.values[node.input[i]]
    if not isinstance(value, Predicate):
        raise UnsupportedOp(node, f"input {node.input[i]!r} must come from a comparison")
    return value


@lowers("Not")
def negation(ctx: Context, node: onnx.NodeProto) -> Value:
    """The opposite, for free."""
    value = _predicate(ctx, node, 0)
    return Predicate(value.mask, negated=not value.negated)


@lowers("And")
def conjunction(ctx: Context, node: onnx.NodeProto) -> Value:
    """A product of masks."""
    a, b = (as_bits(ctx, _predicate(ctx, node, i)) for i in (0, 1))
    return Predicate(ctx.program.mul(a, b), negated=False)


@lowers("Or")
def disjunction(ctx: Context, node: onnx.NodeProto) -> Value:
    """Not both false."""
    a, b = (_predicate(ctx, node, i) for i in (0, 1))
    a, b = (Predicate(v.mask, negated=not v.negated) for v in (a, b))
    return Predicate(ctx.program.mul(as_bits(ctx, a), as_bits(ctx, b)), negated=True)
