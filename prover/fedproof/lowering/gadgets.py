"""Gadgets: what the prover supplies, and the claims that leave it no choice.

Each docstring says what a prover could do if a claim were missing; tests/attacks forges exactly that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedproof.errors import CallerError
from fedproof.lowering.ir import MAX_BOUND, IntArray, Node, Program


def limbs(bits: int, table: int) -> int:
    """Table lookups that ``bits`` bits take."""
    return -(-bits // table)


def signed(p: Program, x: Node, bits: int, label: str) -> int:
    """Demand that ``x`` is an integer of at least ``bits`` bits, signed; return the width proven.

    The width is ``bits`` rounded up to whole lookups: what the value is, another claim says, this one
    says that it is an integer and small. With w the table width: one lookup up to w bits; for more,
    limbs of w bits from the prover, and the equation that they make up x. Without the lookup of a limb
    it could be a fraction, and so could x; without the equation the limbs are anybody's.
    """
    w = p.table_bits
    n = limbs(bits, w)
    half = 2 ** (n * w - 1)
    if n == 1:
        p.check(x, half, label)
    else:
        _in_limbs(p, x, half, n, label)
    return n * w


def unsigned(p: Program, x: Node, offset: int, bits: int, label: str) -> None:
    """Demand ``0 <= x + offset < 2**bits``, ``bits`` rounded up to whole lookups.

    Where x is computed, what is looked up is committed, and an equation says that it makes up x: cheaper
    than x itself. Without a lookup x could be negative, or a fraction.
    """
    n = limbs(bits, p.table_bits)
    if n == 1 and x.op in ("hint", "input"):
        p.check(x, offset, label)
    else:
        _in_limbs(p, x, offset, n, label)


def _in_limbs(p: Program, x: Node, offset: int, n: int, label: str) -> None:
    w = p.table_bits
    parts = [_limb(p, x, f"{label} limb {i}", offset=offset, shift=w * i, last=i == n - 1) for i in range(n)]
    p.equate([(1, x), *((-(2 ** (w * i)), part) for i, part in enumerate(parts))], offset, f"{label} limbs")


def _limb(
    p: Program,
    x: Node,
    label: str,
    *,
    offset: int,
    shift: int,
    modulus: int = 0,
    pad: int = 0,
    last: bool = False,
) -> Node:
    w = p.table_bits
    width = 0 if last else w
    part = p.hint(
        "limb", x, x.shape, 0, 2**w, label, offset=offset, modulus=modulus, pad=pad, shift=shift, width=width
    )
    p.check(part, 0, label)
    return part


def rescale(p: Program, x: Node, q: int, bits: int, label: str, *, ranged: bool = True) -> Node:
    """``x / 2**q`` rounded half up, at scale ``x.scale - q``, as a signed integer of at least ``bits`` bits.

    The exact division: the prover supplies d and the remainder rho = x + 2**(q-1) - 2**q * d in limbs
    of w bits; an equation ties them, lookups prove 0 <= rho < 2**q and that d is an integer. Where q is
    no multiple of w the equation is multiplied by 2**pad, so that the highest limb fills the table: x
    and d are integers, hence the left side is a multiple of 2**pad, and nothing in between can pass.
    Without the check on d any rho in range gives a fraction d; without one on a limb, any d in range.
    ``ranged=False`` leaves the claim on d to the caller, whose own must imply it.
    """
    if q <= 0:
        exact = p.times(x, 2**-q, x.scale - q)
        if ranged:
            exact = commit(p, exact, label)
            signed(p, exact, bits, f"{label} range")
        return exact
    w = p.table_bits
    proven = limbs(bits, w) * w
    # What a rectifier or a maximum proves later is bounded by its own check, which has no sign bit.
    # (A maximum's reaches 1.5 times as far: nothing beside the 190 bits between int64 and the field.)
    bound = 2 ** (proven - 1 if ranged else proven)
    d = p.hint("div_round", x, x.shape, x.scale - q, bound, label, q=q)
    n = limbs(q, w)
    pad, half = n * w - q, 2 ** (q - 1)
    rest = [
        _limb(p, x, f"{label} remainder {i}", offset=half, modulus=q, pad=pad, shift=w * i) for i in range(n)
    ]
    terms = [(2**pad, x), (-(2 ** (q + pad)), d), *((-(2 ** (w * i)), r) for i, r in enumerate(rest))]
    p.equate(terms, half << pad, f"{label} remainder")
    if ranged:
        signed(p, d, bits, f"{label} range")
    return d


def commit(p: Program, x: Node, label: str, bound: int | None = None) -> Node:
    """Return ``x`` as a committed tensor: the prover supplies it, an equation says that it is x.

    ``bound`` is a tighter one than that of x, where the caller knows why.

    Worth it where x is expensive to compute in the circuit, a matrix product say: an equation costs a sum.
    Without the equation it is any tensor.
    """
    if x.op == "hint":
        return x
    y = p.hint("exact", x, x.shape, x.scale, x.bound if bound is None else bound, f"{label} value")
    p.equate([(1, x), (-1, y)], 0, f"{label} value")
    return y


def bit(p: Program, m: Node, label: str) -> None:
    """Demand that every element of ``m`` is 0 or 1: m*m = m. Without it m is any number."""
    p.equate([(1, p.mul(m, m)), (-1, p.restate(m, 0))], 0, f"{label} bit")


def rectify(p: Program, x: Node, label: str) -> tuple[Node, Node]:
    """``(m, a)``: the mask m = 1 where x > 0, else 0, and a = m * x = max(x, 0). Proves |x| <= 2**w.

    The prover supplies m and s = 2a - m - x, which is x - 1 where m = 1 and -x where m = 0; the circuit
    demands that m is a bit, the equation, and 0 <= s < 2**w. Without the first m could be another
    solution of the second; without the last, either bit. At x = 0 only m = 0 passes, as in torch. x is
    proven to be an integer in passing (it is s or its negative, plus m), so a caller need not.
    """
    m = p.hint("positive", x, x.shape, 0, 1, label)
    bit(p, m, label)
    a = p.mul(m, x)
    side = p.sub(p.sub(p.times(a, 2), p.restate(m, x.scale)), x)
    s = p.hint("exact", side, x.shape, x.scale, 2**p.table_bits, f"{label} side")
    p.check(s, 0, f"{label} side")
    p.equate([(1, s), (-2, a), (1, p.restate(m, x.scale)), (1, x)], 0, f"{label} side")
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
