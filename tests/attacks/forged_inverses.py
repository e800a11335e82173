"""Reciprocals and roots that are not the ones of their argument."""

from __future__ import annotations

import numpy as np
from forged_values import TABLE, Attack, complete, first, hint
from forgery import fraction

from fedproof.lowering import Program
from fedproof.lowering.evaluate import apply
from fedproof.lowering.gadgets import signed
from fedproof.lowering.roots import inverse_root, reciprocal, root

ARGUMENTS = {"x": [5, 3, 7, 2]}


def program(of) -> Program:
    p = Program(TABLE)
    x = p.input("x", (4,), 0, TABLE)
    signed(p, x, TABLE, "x range")
    of(p, x)
    return complete(p, x)


def reciprocals() -> Program:
    """floor(16 / x)."""
    return program(lambda p, x: reciprocal(p, x, 4, 31, "y"))


def roots() -> Program:
    """floor(sqrt(4 x))."""
    return program(lambda p, x: root(p, x, 1, "y"))


def inverse_roots() -> Program:
    """floor(sqrt(16 / x))."""
    return program(lambda p, x: inverse_root(p, x, 4, "y"))


def off(by: int):
    """Another result for the first argument; whatever else a prover supplies follows from it."""

    def forge(p, values):
        y, made = hint(p, "y"), dict(values)
        made[y] = values[y] + np.array([by, 0, 0, 0])
        for node in p.nodes:
            if node.op != "input" and node.id != y:
                made[node.id] = apply(p, node, [made[i] for i in node.inputs])
        return {h.id: made[h.id].ravel().tolist() for h in p.hints}

    return forge


def reciprocal_fraction(p, values):
    """14 / 5 leaves a rest of 2."""
    made = first(values, hint(p, "y"), fraction(14, 5))
    return made | first(values, hint(p, "y rest limb 0"), 2) | first(values, hint(p, "y slack limb 0"), 2)


def inverse_root_fraction(p, values):
    """3/2 in place of the root 2 of 16 / 4: 9/4 * 4 is 7 below 16, 25/4 * 4 is 8 above 17."""
    made = first(values, hint(p, "y"), fraction(3, 2)) | first(values, hint(p, "y below limb 0"), 7)
    return made | first(values, hint(p, "y above limb 0"), 8)


ATTACKS_ON_INVERSES = {
    "reciprocal too large": Attack(reciprocals, ARGUMENTS, off(1), "check y rest limb 0"),
    "reciprocal too small": Attack(reciprocals, ARGUMENTS, off(-1), "check y slack limb 0"),
    "reciprocal is a fraction": Attack(reciprocals, ARGUMENTS, reciprocal_fraction, "check y"),
    "root too large": Attack(roots, ARGUMENTS, off(1), "check y rest limb 0"),
    "root too small": Attack(roots, ARGUMENTS, off(-1), "check y slack limb 0"),
    "inverse root too large": Attack(inverse_roots, ARGUMENTS, off(1), "check y below limb 0"),
    "inverse root too small": Attack(inverse_roots, ARGUMENTS, off(-1), "check y above limb 1"),
    "inverse root is a fraction": Attack(
        inverse_roots, {"x": [4, 3, 7, 2]}, inverse_root_fraction, "check y"
    ),
}
