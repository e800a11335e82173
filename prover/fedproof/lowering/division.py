"""Division of a tensor by a tensor, rounded half up, exactly."""

from __future__ import annotations

import numpy as np

from fedproof.errors import CallerError
from fedproof.lowering.emit import Emitter
from fedproof.lowering.gadgets import limbs, signed, unsigned
from fedproof.lowering.hints import hint_kind
from fedproof.lowering.ir import MAX_BOUND, IntArray, Node, Program


def _emit_quotient(e: Emitter, node: Node, args: list[str], out: str) -> str:
    # Div truncates, and divides by what it is given: a floor, and no division by zero.
    factor, one, two = (e.constant(np.array(v)) for v in (2 ** (node.attr("q") + 1), 1, 2))
    scaled = e.op("Mul", [args[0], factor], f"{out}_scaled")
    above = e.op("Add", [scaled, args[1]], f"{out}_above")
    positive = e.op("Max", [args[1], one], f"{out}_positive")
    below = e.op("Mul", [positive, two], f"{out}_below")
    rest = e.op("Mod", [above, below], f"{out}_rest")
    whole = e.op("Sub", [above, rest], f"{out}_whole")
    return e.op("Div", [whole, below], out)


@hint_kind("quotient", _emit_quotient)
def _quotient(node: Node, args: list[IntArray]) -> IntArray:
    """``n * 2**q / d`` rounded half up; where d < 1, as for 1, which no proof accepts."""
    n, d = args
    return np.asarray((n * np.int64(2 ** (node.attr("q") + 1)) + d) // (2 * np.maximum(d, 1)))


def divide(p: Program, n: Node, d: Node, q: int, bits: int, label: str) -> Node:
    """``z = n * 2**q / d`` rounded half up, for d > 0, at scale ``n.scale - d.scale + q``, broadcast.

    The prover supplies z, of at least ``bits`` bits, signed. With rho = 2**(q+1)*n + d - 2*d*z the circuit
    demands 0 <= rho and 0 <= 2*d - 1 - rho, hence 0 <= rho < 2*d: for every d > 0 one z, and for d <= 0
    none. So d is proven positive in passing. Without the first claim z may be larger, without the second
    smaller, and a negative d passes with rho below it; without the one on z it may be a fraction, which
    makes rho any integer in range. n and d must be determined integers: committed and checked, or computed
    from such.

    Raises :class:`CallerError` if 2**(q+1)*n or 2*d*z could leave int64.
    """
    if q < 0:
        d, q = p.times(d, 2**-q, d.scale - q), 0
    shape = tuple(np.broadcast_shapes(n.shape, d.shape))
    scale = n.scale - d.scale + q
    proven = limbs(bits, p.table_bits) * p.table_bits
    most = max(n.bound << (q + 1), 2 * d.bound << (proven - 1)) + 3 * d.bound
    if most > MAX_BOUND:
        raise CallerError(
            f"the division {label} computes values of up to {float(most):.3g}, beyond the limit of 2^62",
            hint="fewer fractional bits, or a narrower range, keep a division's terms small",
        )
    z = p.hint("quotient", (n, d), shape, scale, 2 ** (proven - 1), label, q=q)
    signed(p, z, bits, f"{label} range")
    whole, divisor, quotient = (p.restate(x, 0) for x in (n, d, z))
    rounded = p.add(p.times(whole, 2 ** (q + 1)), divisor)
    rho = p.sub(rounded, p.times(p.mul(divisor, quotient), 2))
    width = (2 * d.bound - 1).bit_length()
    unsigned(p, rho, 0, width, f"{label} remainder")
    gap = p.sub(p.times(p.expand(divisor, shape), 2), rho)
    unsigned(p, gap, -1, width, f"{label} divisor")
    return z
