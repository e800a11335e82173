"""MaxLast and OneHot of the domain ``fedproof``: maxima of rows, and one-hot rows."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from fedproof.lowering.context import Context, UnsupportedOp, Value, attributes, lowers
from fedproof.lowering.gadgets import signed
from fedproof.lowering.selection import maximum, one_hot


@lowers("fedproof::MaxLast")
def max_last(ctx: Context, node: onnx.NodeProto) -> tuple[Value, ...]:
    """``(values (...), onehot (..., n))`` of x (..., n): maxima of rows, and their first places."""
    p, numbers, label = ctx.program, ctx.numbers, node.output[0]
    x = ctx.tensor(node, 0)
    *lead, n = x.shape
    # A range check of each row's maximum proves all of the row: the others are it minus what is looked up.
    x = ctx.narrow(x, f"{label} argument", ranged=n < 3)
    if n == 1:
        return p.reshape(x, tuple(lead)), p.const(np.ones(x.shape, dtype=np.int64), 0)
    bits = (2 * x.bound - 1).bit_length()
    if not ctx.is_leaf(x):
        bits = min(bits, max(numbers.range, numbers.table))
    values, places = maximum(p, p.reshape(x, (prod(lead), n)), bits, label)
    if n >= 3 and not ctx.is_leaf(x):
        signed(p, values, numbers.range, f"{label} range")
        ctx.proven(x)
    return (p.reshape(values, tuple(lead)), p.reshape(places, x.shape))[: len(node.output)]


@lowers("fedproof::OneHot")
def one_hot_rows(ctx: Context, node: onnx.NodeProto) -> Value:
    """One-hot rows (..., depth) of whole numbers (...)."""
    p, ids = ctx.program, ctx.tensor(node, 0)
    depth = int(attributes(node)["depth"])
    if ids.scale < 0 or depth < 1:
        raise UnsupportedOp(node, f"ids at scale {ids.scale}, depth {depth}")
    rows = one_hot(p, p.reshape(ids, (ids.size, 1)), depth, node.output[0])
    return p.reshape(rows, (*ids.shape, depth))
