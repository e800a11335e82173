"""Arguments beyond the domain of a table, held where a malicious prover likes."""

from __future__ import annotations

from forged_values import TABLE, Attack, at, complete, first, hint

from fedproof.lowering import Program
from fedproof.lowering.claims import FunctionTable
from fedproof.lowering.gadgets import signed
from fedproof.lowering.saturation import held, held_at

HELD = {"x": [11, -5, 0, 3]}
THIRDS = FunctionTable("thirds", -3, (-9, -6, -3, 0, 3, 6, 9))


def holding(one_end: bool = False) -> Program:
    """Arguments held between -3 and 3, or below 3 alone, and looked up there."""
    p = Program(TABLE)
    x = p.input("x", (4,), 0, 6)
    signed(p, x, TABLE, "x range")
    c = held_at(p, x, 3, "x", above=True) if one_end else held(p, x, 3, "x")[0]
    # Below an end that is not held the table goes on.
    p.function(c, FunctionTable("thirds", -8, tuple(range(-24, 12, 3))) if one_end else THIRDS, 0)
    p.count_lookups()
    return complete(p, x)


def held_as(inside, excess):
    """Another place in the table for the first argument, its entry, and the counts that go with it."""

    def forge(p, values):
        table, y, counts = p.tables[0], p.functions[0].y, p.counts[0]
        c, moved = hint(p, "x held"), values[counts].copy()
        moved[at(values, c) - table.first] -= 1
        moved[inside - table.first] += 1
        made = first(values, c, inside) | first(values, hint(p, "x excess"), excess)
        return made | first(values, y, 3 * inside) | {counts: moved.tolist()}

    return forge


ATTACKS_ON_ARGUMENTS = {
    # 3 (10 - 2) = 2 s has a whole solution, though 2 is no end; 3 (11 + 3) = -3 s has a negative one.
    "argument held inside": Attack(holding, {"x": [10, -5, 0, 3]}, held_as(2, 12), "equation x end"),
    "argument held at the wrong end": Attack(holding, HELD, held_as(-3, -14), "check x excess"),
    "argument of another excess": Attack(holding, HELD, held_as(3, 7), "equation x side"),
    "argument below one end held inside": Attack(
        lambda: holding(one_end=True), HELD, held_as(2, 9), "equation x end"
    ),
    "argument below one end held anyway": Attack(
        lambda: holding(one_end=True), {"x": [2, -5, 0, 3]}, held_as(3, -1), "check x excess"
    ),
}
