"""Arguments held within the domain of a table: what lies beyond is split off, exactly."""

from __future__ import annotations

import numpy as np

from fedproof.lowering.emit import Emitter
from fedproof.lowering.gadgets import unsigned
from fedproof.lowering.hints import hint_kind
from fedproof.lowering.ir import IntArray, Node, Program


def _emit_held(e: Emitter, node: Node, args: list[str], out: str) -> str:
    over = e.op("Max", [args[0], e.constant(np.array(node.attr("low")))], f"{out}_over")
    return e.op("Min", [over, e.constant(np.array(node.attr("high")))], out)


@hint_kind("held", _emit_held)
def _held(node: Node, args: list[IntArray]) -> IntArray:
    """What of an argument is between the ends of a domain."""
    return np.clip(args[0], node.attr("low"), node.attr("high"))


def _emit_distance(e: Emitter, node: Node, args: list[str], out: str) -> str:
    del node
    return e.op("Abs", [e.op("Sub", args, f"{out}_signed")], out)


@hint_kind("distance", _emit_distance)
def _distance(node: Node, args: list[IntArray]) -> IntArray:
    """``|x - c|``."""
    del node
    return np.asarray(np.abs(args[0] - args[1]))


def held(p: Program, x: Node, end: int, label: str) -> tuple[Node, Node]:
    """``(c, s)`` for integers x: c = x held between ``-end`` and ``end``, s = |x - c|, below 2**w.

    The caller proves -end <= c <= end: as the argument of a table that goes from one to the other. The prover
    supplies c and s, with 0 <= s < 2**w and

        end (x - c) = s c,    s (end - c)(end + c) = 0:

    where s is not 0, c is an end, and x is s above the upper one or s below the lower one. Without the second
    equation c may be any divisor of end (x - c), without the first it is the argument of another x, without
    the range of s it may be the wrong end.
    """
    c = p.hint("held", x, x.shape, x.scale, end, f"{label} held", low=-end, high=end)
    s = _split(p, x, c, label)
    product = p.mul(s, c)
    p.equate([(end, x), (-end, c), (-1, p.restate(product, x.scale))], 0, f"{label} side")
    ends = p.restate(p.mul(product, c), x.scale)
    p.equate([(end * end, s), (-1, ends)], 0, f"{label} end")
    return c, s


def held_at(p: Program, x: Node, end: int, label: str, *, above: bool) -> Node:
    """``min(x, end)``, or ``max(x, end)`` with ``above`` false; x is beyond ``end`` by less than 2**w.

    The caller proves that the result is not beyond ``end``. The prover supplies it and s, with 0 <= s < 2**w,
    x - result = s (or -s), and s (end - result) = 0. Without the last the result may be further inside,
    without the one before it is of another x, without the range of s it is the end, for any x.
    """
    low, high = (-x.bound, end) if above else (end, x.bound)
    c = p.hint("held", x, x.shape, x.scale, max(x.bound, abs(end)), f"{label} held", low=low, high=high)
    s = _split(p, x, c, label)
    p.equate([(1, x), (-1, c), (-1 if above else 1, s)], 0, f"{label} side")
    p.equate([(end, s), (-1, p.restate(p.mul(s, c), x.scale))], 0, f"{label} end")
    return c


def _split(p: Program, x: Node, c: Node, label: str) -> Node:
    s = p.hint("distance", [x, c], x.shape, x.scale, 2**p.table_bits, f"{label} excess")
    unsigned(p, s, 0, p.table_bits, f"{label} excess")
    return s
