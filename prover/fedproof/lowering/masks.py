"""Comparisons of a tensor with constants: a mask of zeros and ones, and what it leaves of the tensor."""

from __future__ import annotations

import numpy as np

from fedproof.lowering.gadgets import bit, rectify, unsigned
from fedproof.lowering.ir import IntArray, Node, Program


def above(p: Program, x: Node, k: IntArray, bits: int, label: str) -> tuple[Node, Node]:
    """``(m, m * x)``: m = 1 where x > k, else 0.

    Proves x an integer, and |x - k| <= 2**bits, ``bits`` rounded up to whole lookups. ``k`` are integers,
    one for all elements or one each. The prover supplies m and s = m(2(x - k) - 1) - (x - k), which is
    x - k - 1 where m = 1 and k - x where m = 0; the circuit demands that m is a bit, the equation, and
    0 <= s < 2**bits. Without the first m could be another solution of the second; without the last,
    either bit.
    """
    one = k.size == 1
    if one and not k.any() and bits <= p.table_bits:
        return rectify(p, x, label)
    if one:
        common = int(k.ravel()[0])
        shifted = p.sub(x, p.const(np.array(common), x.scale)) if common else x
        m, a = _masked(p, x, shifted, label)
        weight = p.times(p.restate(m, x.scale), 2 * common + 1)
        unsigned(p, p.sub(p.sub(p.times(a, 2), weight), x), common, bits, f"{label} side")
        return m, a
    each = p.const(k, x.scale)
    m, a = _masked(p, x, p.sub(x, each), label)
    weight = p.restate(p.mul(m, p.const(2 * k + 1, 0)), x.scale)
    side = p.add(p.sub(p.sub(p.times(a, 2), weight), x), p.expand(each, x.shape))
    unsigned(p, side, 0, bits, f"{label} side")
    return m, a


def _masked(p: Program, x: Node, shifted: Node, label: str) -> tuple[Node, Node]:
    m = p.hint("positive", shifted, x.shape, 0, 1, label)
    bit(p, m, label)
    return m, p.mul(m, x)


def is_bit(p: Program, x: Node) -> bool:
    """Whether every element is 0 or 1 by what made it: masks, their opposites, products and movements."""
    if x.op == "hint":
        return str(x.attr("kind")) in ("positive", "first_maximum", "one_hot")
    if x.op in ("mul", "transpose", "reshape", "slice", "gather", "expand", "concat"):
        return all(is_bit(p, p.nodes[i]) for i in x.inputs)
    if x.op == "sub":
        one, m = (p.nodes[i] for i in x.inputs)
        return one.op == "const" and bool((p.constants[one.id] == 1).all()) and is_bit(p, m)
    return x.op == "const" and bool(np.isin(p.constants[x.id], (0, 1)).all())
