"""One-hot rows: which element is the first maximum, and which place a number names."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from fedproof.errors import CallerError
from fedproof.lowering.emit import Emitter
from fedproof.lowering.gadgets import bit, commit, unsigned
from fedproof.lowering.hints import hint_kind
from fedproof.lowering.ir import IntArray, Node, Program


def _emit_first_maximum(e: Emitter, node: Node, args: list[str], out: str) -> str:
    # onnxruntime has no ArgMax of int64: elements that equal the maximum, with none of them before.
    del node
    largest = e.op("ReduceMax", args, f"{out}_largest", axes=[1], keepdims=1)
    equal = e.op("Equal", [args[0], largest], f"{out}_equal")
    number = e.op("Cast", [equal], f"{out}_number", to=TensorProto.INT64)
    before = e.op("CumSum", [number, e.indices(np.array(1))], f"{out}_before", exclusive=1)
    none = e.op("Equal", [before, e.constant(np.array(0))], f"{out}_none")
    first = e.op("And", [equal, none], f"{out}_first")
    return e.op("Cast", [first], out, to=TensorProto.INT64)


@hint_kind("first_maximum", _emit_first_maximum)
def _first_maximum(node: Node, args: list[IntArray]) -> IntArray:
    """One in each row of (R, n), at the first of its largest elements."""
    del node
    return np.asarray(np.eye(args[0].shape[1], dtype=np.int64)[args[0].argmax(axis=1)])


def _emit_one_hot(e: Emitter, node: Node, args: list[str], out: str) -> str:
    places = e.constant(np.arange(node.shape[1]) * node.attr("unit"))
    equal = e.op("Equal", [args[0], places], f"{out}_equal")
    return e.op("Cast", [equal], out, to=TensorProto.INT64)


@hint_kind("one_hot", _emit_one_hot)
def _one_hot(node: Node, args: list[IntArray]) -> IntArray:
    """One in each row of (R, depth), at the place that the element of (R, 1) names in ``unit``s.

    Raises :class:`CallerError` for an element that names none.
    """
    unit, depth = node.attr("unit"), node.shape[1]
    found: IntArray = np.equal(args[0], np.arange(depth) * unit).astype(np.int64)
    lost = np.flatnonzero(found.sum(axis=1) == 0)
    if lost.size:
        raise CallerError(
            f"{node.label}: element {int(lost[0])} is {args[0][lost[0], 0] / unit:g}, which is none of the "
            f"whole numbers 0 to {depth - 1}; {lost.size} of {len(found)} elements are none"
        )
    return found


def _rows(p: Program, h: Node, label: str) -> None:
    """Demand that each row of h (R, n) is one-hot: bits, and their sum is 1. Without the first the ones
    may be spread as fractions, without the second there may be none or several.
    """
    bit(p, h, label)
    p.equate([(1, p.sum(h, (1,), keepdims=True))], -1, f"{label} one")


def maximum(p: Program, x: Node, bits: int, label: str) -> tuple[Node, Node]:
    """``(y, h)`` for x (R, n): the maximum (R, 1) of each row, and one-hot (R, n) its first place.

    Differences in a row must be below 2**bits, rounded up to whole lookups; x must hold integers, or the
    maxima be proven to: x[i] is y minus whole numbers. The prover
    supplies h; each row of it is one-hot, y = sum h*x is what it points at, and

        y - x[i] - [i comes before the place of h] >= 0    for all i,

    so no element is larger, and none before it is as large: h is the first maximum and nothing else. What
    comes before is linear in h: sum of h[j] over j > i. Without these claims h points anywhere; without the
    bracket, at any of equal maxima, and a gradient goes where the prover likes.
    """
    n = x.shape[1]
    h = p.hint("first_maximum", x, x.shape, 0, 1, label)
    _rows(p, h, label)
    y = commit(p, p.sum(p.mul(h, x), (1,), keepdims=True), label, x.bound)
    later = p.const(np.tril(np.ones((n, n), dtype=np.int64), -1), 0)
    before = p.restate(p.matmul(h, later), x.scale)
    unsigned(p, p.sub(p.sub(y, x), before), 0, bits, f"{label} order")
    return y, h


def one_hot(p: Program, ids: Node, depth: int, label: str) -> Node:
    """One-hot rows (R, depth) at scale 0 of ids (R, 1), which are proven to be whole numbers below depth.

    The prover supplies h; each row is one-hot, and the sum of j * h[j] is the id. Without the last claim the
    rows are another id's.
    """
    unit = 2**ids.scale
    h = p.hint("one_hot", ids, (ids.shape[0], depth), 0, 1, label, unit=unit)
    _rows(p, h, label)
    places = p.const(np.arange(depth).reshape(depth, 1), 0)
    p.equate([(unit, p.matmul(h, places)), (-1, ids)], 0, f"{label} place")
    return h
