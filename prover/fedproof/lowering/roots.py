"""Gadgets of inverses and roots: 1/x, sqrt(x) and 1/sqrt(x), exact to the last bit of a stated scale."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from fedproof.errors import CallerError
from fedproof.lowering.emit import Emitter
from fedproof.lowering.gadgets import commit, signed, unsigned
from fedproof.lowering.hints import hint_kind
from fedproof.lowering.ir import IntArray, Node, Program

#: Bits of the square of an inverse root, which is a factor of what its claims range over.
MOST_ROOT_BITS = 50


def _uniform(p: Program, like: Node, value: int) -> Node:
    return p.const(np.full(like.shape, value, dtype=np.int64), like.scale)


def _emit_reciprocal(e: Emitter, node: Node, args: list[str], out: str) -> str:
    # A divisor below 1 has no inverse; 1 stands for it, and its range check refuses it later.
    divisor = e.op("Max", [args[0], e.constant(np.array(1))], f"{out}_divisor")
    return e.op("Div", [e.constant(np.array(2 ** node.attr("q"))), divisor], out)


@hint_kind("reciprocal", _emit_reciprocal)
def _reciprocal(node: Node, args: list[IntArray]) -> IntArray:
    """``floor(2**q / x)``."""
    result: IntArray = np.int64(1 << node.attr("q")) // np.maximum(args[0], 1)
    return result


def reciprocal(p: Program, x: Node, q: int, most: int, label: str) -> Node:
    """``floor(2**q / x)`` for an integer 1 <= x <= ``most``, at scale ``q - x.scale``.

    The prover supplies R; the rest 2**q - R*x must lie in [0, x - 1]. Without 0 <= rest R may be larger,
    without rest <= x - 1 smaller; without the claim that R is an integer it is the exact fraction. x = 0
    leaves no rest to choose: no proof exists.
    """
    x = commit(p, x, f"{label} argument")
    inverse = p.hint("reciprocal", x, x.shape, q - x.scale, 2**q, label, q=q)
    signed(p, inverse, q + 2, label)
    product = p.mul(inverse, x)
    rest = p.sub(_uniform(p, product, 2**q), product)
    unsigned(p, rest, 0, most.bit_length(), f"{label} rest")
    slack = p.sub(p.sub(p.restate(x, rest.scale), rest), _uniform(p, rest, 1))
    unsigned(p, slack, 0, most.bit_length(), f"{label} slack")
    return inverse


def _emit_floor_root(e: Emitter, square: str, out: str) -> str:
    one = e.constant(np.array(1))
    real = e.op("Cast", [square], f"{out}_real", to=TensorProto.DOUBLE)
    real = e.op("Floor", [e.op("Sqrt", [real], f"{out}_sqrt")], f"{out}_floor")
    root = e.op("Cast", [real], f"{out}_near", to=TensorProto.INT64)
    # The float64 root of an int64 is off by one at most.
    over = e.op("Greater", [e.op("Mul", [root, root], f"{out}_again"), square], f"{out}_over")
    less = e.op("Cast", [over], f"{out}_less", to=TensorProto.INT64)
    root = e.op("Sub", [root, less], f"{out}_lower")
    above = e.op("Add", [root, one], f"{out}_next")
    fits = e.op("LessOrEqual", [e.op("Mul", [above, above], f"{out}_more"), square], f"{out}_fits")
    more = e.op("Cast", [fits], f"{out}_plus", to=TensorProto.INT64)
    return e.op("Add", [root, more], out)


def _floor_root(square: IntArray) -> IntArray:
    root: IntArray = np.floor(np.sqrt(square.astype(np.float64))).astype(np.int64)
    root -= (root * root > square).astype(np.int64)
    root += ((root + 1) * (root + 1) <= square).astype(np.int64)
    return root


def _emit_root(e: Emitter, node: Node, args: list[str], out: str) -> str:
    del node
    # A number below 0 has no root; 0 stands for it, and the range check of the rest refuses it later.
    return _emit_floor_root(e, e.op("Max", [args[0], e.constant(np.array(0))], f"{out}_square"), out)


@hint_kind("root", _emit_root)
def _root(node: Node, args: list[IntArray]) -> IntArray:
    """``floor(sqrt(x))``."""
    del node
    return _floor_root(np.maximum(args[0], 0))


def root(p: Program, x: Node, out: int, label: str) -> Node:
    """``floor(sqrt(x * 2**(2*out - x.scale)))`` for an integer x >= 0, at scale ``out``, half of x's or more.

    The prover supplies y; with z that multiple of x, the rest z - y**2 must lie in [0, 2y]. Without
    0 <= rest y may be larger, without rest <= 2y smaller. y needs no claim of its own: 2y is the sum of the
    rest and of what it could be more, an integer that is not negative, and even, for its square is
    4 (z - rest). A negative x leaves no rest to choose: no proof exists.
    """
    if 2 * out < x.scale:
        raise AssertionError(f"lowering bug: a root at scale {out} of a number at {x.scale}")
    x = commit(p, x, f"{label} argument")
    z = p.times(x, 2 ** (2 * out - x.scale), 2 * out)
    width = -(-z.bound.bit_length() // 2)
    y = p.hint("root", z, z.shape, out, 2**width, label)
    rest = p.sub(z, p.mul(y, y))
    unsigned(p, rest, 0, width + 1, f"{label} rest")
    slack = p.sub(p.times(p.restate(y, rest.scale), 2, rest.scale), rest)
    unsigned(p, slack, 0, width + 1, f"{label} slack")
    return y


def _emit_inverse_root(e: Emitter, node: Node, args: list[str], out: str) -> str:
    divisor = e.op("Max", [args[0], e.constant(np.array(1))], f"{out}_divisor")
    square = e.op("Div", [e.constant(np.array(2 ** node.attr("q"))), divisor], f"{out}_square")
    return _emit_floor_root(e, square, out)


@hint_kind("inverse_root", _emit_inverse_root)
def _inverse_root(node: Node, args: list[IntArray]) -> IntArray:
    """``floor(sqrt(2**q / x))``."""
    return _floor_root(np.int64(1 << node.attr("q")) // np.maximum(args[0], 1))


def inverse_root(p: Program, x: Node, q: int, label: str) -> Node:
    """``floor(sqrt(2**q / x))`` for a positive integer x, at scale ``(q - x.scale) / 2``; both even or
    both odd.

    The prover supplies y; y**2 * x <= 2**q < (y + 1)**2 * x. Without the first claim y may be larger,
    without the second smaller; without the claim that y is an integer it is the exact root, where there
    is one.
    """
    if (q - x.scale) % 2:
        raise AssertionError(f"lowering bug: no root at scale ({q} - {x.scale}) / 2")
    if q > MOST_ROOT_BITS:
        raise CallerError(
            f"{label}: an inverse root at {(q - x.scale) // 2} fractional bits",
            hint="fewer fractional bits of activations",
        )
    x = commit(p, x, f"{label} argument")
    y = p.hint("inverse_root", x, x.shape, (q - x.scale) // 2, 2 ** -(-q // 2), label, q=q)
    signed(p, y, -(-q // 2) + 2, label)
    # The claims below keep y**2 x at 2**q: their limbs are of few bits, nothing wraps around in the field.
    yx = p.mul(y, x, 2**q)
    square = p.mul(y, yx, 2**q)
    unsigned(p, p.sub(_uniform(p, square, 2**q), square), 0, q + 1, f"{label} below")
    # (y + 1)**2 x - 1 - 2**q = y**2 x + 2yx + x - 1 - 2**q
    wide = p.add(p.add(square, p.times(yx, 2, square.scale)), p.restate(x, square.scale))
    # Below (2y + 1) x, where y**2 x is at most 2**q.
    width = x.bound.bit_length()
    most = max((q + width) // 2 + 3, width + 2)
    unsigned(p, p.sub(wide, _uniform(p, wide, 2**q + 1)), 0, most, f"{label} above")
    return y
