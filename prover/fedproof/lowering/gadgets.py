"""Gadgets: what the prover supplies, and the checks that leave it no choice.

Each docstring says what a prover could do if a check were missing; tests/attacks forges exactly that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedproof.errors import CallerError
from fedproof.lowering.ir import MAX_BOUND, IntArray, Node, Program


def range_check(p: Program, x: Node, offset: int, bits: int, label: str) -> None:
    """Demand ``0 <= x + offset < 2**bits``, elementwise.

    With w the table width: one lookup for bits = w; for fewer bits a second lookup of the value shifted
    to the top of the table; for more, a high limb from the prover, checked in turn, and the low limb in
    the table. Without the second lookup a value up to 2**w would pass; without the check on the
    high limb it could be a fraction, and so could x.
    """
    w = p.table_bits
    if bits <= w:
        p.check(x, offset, label)
        if bits < w:
            p.check(x, offset + 2**w - 2**bits, f"{label} top")
        return
    if offset % 2**w:
        raise AssertionError(f"lowering bug: offset {offset} of {label} is no multiple of the table")
    high = p.hint("high_limb", x, x.shape, x.scale, 2 ** (bits - w), f"{label} limb", q=w)
    range_check(p, high, offset >> w, bits - w, f"{label} high")
    p.check(p.sub(x, p.times(high, 2**w)), 0, f"{label} low")


def rescale(p: Program, x: Node, q: int, bits: int, label: str, *, ranged: bool = True) -> Node:
    """``x / 2**q`` rounded half up, at scale ``x.scale - q``, as a signed integer of ``bits`` bits.

    The exact division of the design: the prover supplies d, the circuit computes the remainder
    rho = x + 2**(q-1) - 2**q * d and demands 0 <= rho < 2**q, and -2**(bits-1) <= d < 2**(bits-1).
    Without the check on d any rho in range gives a fraction d; without the one on rho, any d in range.
    ``ranged=False`` leaves the check on d to the caller, whose own check must imply it.
    """
    if q <= 0:
        exact = p.times(x, 2**-q, x.scale - q)
        if ranged:
            range_check(p, exact, 2 ** (bits - 1), bits, f"{label} range")
        return exact
    # What another check leaves unproven until then may be as large as that check allows: a rectifier's
    # goes up to the wider of the range and the table, without a sign bit.
    bound = 2 ** (bits - 1) if ranged else 2 ** max(bits, p.table_bits)
    d = p.hint("div_round", x, x.shape, x.scale - q, bound, label, q=q)
    rho = p.sub(x, p.times(d, 2**q, x.scale))
    range_check(p, rho, 2 ** (q - 1), q, f"{label} remainder")
    if ranged:
        range_check(p, d, 2 ** (bits - 1), bits, f"{label} range")
    return d


def rectify(p: Program, x: Node, bits: int, label: str) -> tuple[Node, Node]:
    """``(m, a)``: the mask m = 1 where x > 0, else 0, and a = m * x = max(x, 0). Proves |x| <= 2**bits.

    The prover supplies m; the circuit demands m in {0, 1} and 0 <= 2a - m - x < 2**bits, which is
    x - 1 where m = 1 and -x where m = 0. Without the first check m could be another solution of the
    second; without the second, either bit. At x = 0 only m = 0 passes, as in torch. x is proven to
    be an integer in passing (it is the checked value or its negative, plus m), so a caller need not.
    """
    m = p.hint("positive", x, x.shape, 0, 1, label)
    range_check(p, m, 0, 1, f"{label} bit")
    a = p.mul(m, x)
    side = p.sub(p.sub(p.times(a, 2), p.restate(m, x.scale)), x)
    range_check(p, side, 0, bits, f"{label} side")
    return m, a


def quantize(values: NDArray[Any], scale: int, name: str = "value") -> IntArray:
    """Real numbers to integers at ``scale`` fractional bits, rounded half up. Shape is kept.

    Raises :class:`CallerError` naming the element for NaN, infinity, and what int64 cannot hold.
    """
    real = np.asarray(values, dtype=np.float64)
    scaled = np.floor(real * 2.0**scale + 0.5)
    bad = np.flatnonzero(~(np.abs(scaled) <= MAX_BOUND))
    if bad.size:
        where = tuple(int(i) for i in np.unravel_index(bad[0], real.shape))
        raise CallerError(
            f"{name}: element {where} is {real.ravel()[bad[0]]}, which {scale} fractional bits cannot "
            f"represent: the limit is {MAX_BOUND * 2.0**-scale:.6g}; "
            f"{bad.size} of {real.size} elements are beyond it"
        )
    return scaled.astype(np.int64)
