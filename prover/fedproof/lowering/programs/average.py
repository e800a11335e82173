"""The exact average of any number of updates."""

from __future__ import annotations

from fedproof.lowering.ir import Program


def average_program(length: int, table: int, limbs: int) -> Program:
    """Exact division of a weighted sum by 2**table: committed remainder and quotient, any number of trainers.

    The hub computes P(remainder + 1) = P(S) + (2**(t-1) + 1) P(1) - 2**t P(delta) itself, t = ``table``: as
    committed, the remainder is shifted to the rows of the lookup table, for nothing. So the circuit only
    checks 0 <= remainder < 2**t and that delta is a signed integer of ``limbs`` * t bits, over ``length``
    elements with the salt. No equation, hence no challenge: the low limb of delta is computed.
    """
    p = Program(table)
    remainder = p.input("remainder", (length,), 0, table + 1)
    delta = p.input("delta", (length,), 0, limbs * table)
    p.check(remainder, 0, "remainder")
    half = 2 ** (limbs * table - 1)
    low, high = delta, []
    for i in range(1, limbs):
        # The highest limb is not cut: a delta out of range must show in it.
        width = table if i < limbs - 1 else 0
        attrs = {"offset": half, "modulus": 0, "pad": 0, "shift": table * i, "width": width}
        limb = p.hint("limb", delta, (length,), 0, 2**table, f"delta limb {i}", **attrs)
        p.check(limb, 0, f"delta limb {i}")
        low = p.sub(low, p.times(limb, 2 ** (table * i)))
        high.append(limb)
    p.check(low, half, "delta range")
    p.slot("remainder", [remainder], 0, shifted=True)
    p.slot("delta", [delta], 0)
    if high:
        p.slot("advice", high, 1, shifted=True)
    return p


def digits_program(rows: int, vectors: int, table: int) -> Program:
    """Digits of ``table`` bits: every element of ``vectors`` committed columns of ``rows`` elements is one.

    As committed a digit d is the row d + 1 of the lookup table. Nothing is computed from them: what number
    they are the digits of is for the commitments to say (:mod:`fedproof.circuits.shards`).
    """
    p = Program(table)
    for i in range(vectors):
        digits = p.input(f"digits {i}", (rows,), 0, table + 1)
        p.check(digits, 0, f"digits {i}")
        p.slot(f"digits-{i}", [digits], 0, shifted=True)
    return p
