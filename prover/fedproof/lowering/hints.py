"""What a prover supplies: how an honest one computes it, in numpy and in the int64 reference graph.

The circuit never computes a hint. It reads it from a committed vector, and checks and equations leave it one
value (gadgets.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from fedproof.errors import CallerError
from fedproof.lowering.ir import IntArray, Node

if TYPE_CHECKING:
    from fedproof.lowering.emit import Emitter

Honest = Callable[[Node, list[IntArray]], IntArray]
Emit = Callable[["Emitter", Node, list[str], str], str]


@dataclass(frozen=True)
class HintKind:
    """``honest`` computes the hint in int64; ``emit`` writes the same into a reference graph."""

    honest: Honest
    emit: Emit


HINTS: dict[str, HintKind] = {}


def hint_kind(name: str, emit: Emit) -> Callable[[Honest], Honest]:
    """Register the decorated function as what an honest prover computes for hints of kind ``name``."""

    def register(honest: Honest) -> Honest:
        HINTS[name] = HintKind(honest, emit)
        return honest

    return register


def div_round(x: IntArray, q: int) -> IntArray:
    """``x / 2**q`` rounded half up (towards +infinity at ties)."""
    return (x + (1 << (q - 1))) >> q


def floor_shift(e: Emitter, x: str, offset: int, q: int, out: str) -> str:
    """Emit ``(x + offset) >> q``: ONNX Div truncates, Mod takes the divisor's sign, so x - x mod 2**q
    is a floor.
    """
    if not q:
        return e.op("Add", [x, e.constant(np.array(offset))], out)
    modulus = e.constant(np.array(2**q))
    shifted = e.op("Add", [x, e.constant(np.array(offset))], f"{out}_shifted")
    low = e.op("Mod", [shifted, modulus], f"{out}_low")
    exact = e.op("Sub", [shifted, low], f"{out}_exact")
    return e.op("Div", [exact, modulus], out)


def _emit_div_round(e: Emitter, node: Node, args: list[str], out: str) -> str:
    q = node.attr("q")
    return floor_shift(e, args[0], 2 ** (q - 1), q, out)


@hint_kind("div_round", _emit_div_round)
def _div_round(node: Node, args: list[IntArray]) -> IntArray:
    """``x / 2**q`` rounded half up."""
    return div_round(args[0], node.attr("q"))


def _emit_high_limb(e: Emitter, node: Node, args: list[str], out: str) -> str:
    return floor_shift(e, args[0], 0, node.attr("q"), out)


@hint_kind("high_limb", _emit_high_limb)
def _high_limb(node: Node, args: list[IntArray]) -> IntArray:
    """``x >> q``."""
    return args[0] >> np.int64(node.attr("q"))


def _emit_limb(e: Emitter, node: Node, args: list[str], out: str) -> str:
    offset, modulus, pad, shift, width = (
        node.attr(a) for a in ("offset", "modulus", "pad", "shift", "width")
    )
    # Nothing is left of an int64 beyond.
    shift = min(shift, 62)
    if not width:
        return floor_shift(e, args[0], offset, shift, out)
    x = e.op("Add", [args[0], e.constant(np.array(offset))], f"{out}_shifted")
    if modulus:
        x = e.op("Mod", [x, e.constant(np.array(2**modulus))], f"{out}_rest")
    if pad:
        x = e.op("Mul", [x, e.constant(np.array(2**pad))], f"{out}_padded")
    if shift:
        x = e.op("Div", [x, e.constant(np.array(2**shift))], f"{out}_high")
    return e.op("Mod", [x, e.constant(np.array(2**width))], out)


@hint_kind("limb", _emit_limb)
def _limb(node: Node, args: list[IntArray]) -> IntArray:
    """``width`` bits from ``shift`` of ((x + offset) mod 2**modulus) * 2**pad; modulus 0: x + offset as is.

    Width 0: all bits from ``shift``. A value that is out of range is then seen in its highest limb.
    """
    x, shift = np.asarray(args[0] + node.attr("offset")), min(node.attr("shift"), 62)
    if not node.attr("width"):
        return np.asarray(x >> np.int64(shift))
    if node.attr("modulus"):
        x = x & ((1 << node.attr("modulus")) - 1)
    return np.asarray(((x << node.attr("pad")) >> shift) & ((1 << node.attr("width")) - 1))


def _emit_positive(e: Emitter, node: Node, args: list[str], out: str) -> str:
    del node
    above = e.op("Greater", [args[0], e.constant(np.array(0))], f"{out}_above")
    return e.op("Cast", [above], out, to=TensorProto.INT64)


@hint_kind("positive", _emit_positive)
def _positive(node: Node, args: list[IntArray]) -> IntArray:
    """1 where x > 0, else 0."""
    del node
    return (args[0] > 0).astype(np.int64)


def _emit_table(e: Emitter, node: Node, args: list[str], out: str) -> str:
    row = e.op("Sub", [args[0], e.constant(np.array(node.attr("first")))], f"{out}_row")
    return e.op("Gather", [e.constant(np.array(node.attr("values"))), row], out, axis=0)


@hint_kind("table", _emit_table)
def _table(node: Node, args: list[IntArray]) -> IntArray:
    """What a table maps x to."""
    values = np.array(node.attr("values"), dtype=np.int64)
    rows = args[0] - node.attr("first")
    bad = np.flatnonzero((rows < 0) | (rows >= len(values)))
    if bad.size:
        last = node.attr("first") + len(values)
        raise CallerError(
            f"{node.label}: element {bad[0]} of its argument is {int(args[0].ravel()[bad[0]])}, outside "
            f"[{node.attr('first')}, {last}); {bad.size} of {rows.size} elements are",
            hint="a smaller learning rate, fewer fractional bits of activations, or a wider table",
        )
    result: IntArray = values[rows]
    return result


def _emit_count(e: Emitter, node: Node, args: list[str], out: str) -> str:
    column = [e.op("Reshape", [x, e.indices((-1, 1))], f"{out}_{i}") for i, x in enumerate(args)]
    joined = e.op("Concat", column, f"{out}_all", axis=0) if len(column) > 1 else column[0]
    rows = e.constant(np.arange(node.shape[0]) + node.attr("first"))
    equal = e.op("Equal", [joined, rows], f"{out}_equal")
    number = e.op("Cast", [equal], f"{out}_number", to=TensorProto.INT64)
    return e.op("ReduceSum", [number, e.indices([0])], out, keepdims=0)


@hint_kind("count", _emit_count)
def _count(node: Node, args: list[IntArray]) -> IntArray:
    """How often each row is looked up."""
    rows = np.concatenate([x.ravel() for x in args]) - node.attr("first")
    return np.bincount(rows, minlength=node.shape[0]).astype(np.int64)


def _emit_exact(e: Emitter, node: Node, args: list[str], out: str) -> str:
    del node
    return e.op("Identity", args, out)


@hint_kind("exact", _emit_exact)
def _exact(node: Node, args: list[IntArray]) -> IntArray:
    """The value itself: what is computed elsewhere, committed to."""
    del node
    return args[0]
