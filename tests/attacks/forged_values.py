"""What a malicious prover writes in the place of each hint, and the one claim that is to stop it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from attacks_programs import TINY, tiny_step
from forgery import fraction

from fedproof.lowering import Program, average_program
from fedproof.lowering.claims import FunctionTable
from fedproof.lowering.gadgets import commit, rectify, rescale, signed

TABLE = 6
Forged = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Attack:
    """A program, an honest input, what the forger replaces, and the claim that is to stop it."""

    build: Callable[[], Program]
    inputs: Mapping[str, list]
    forge: Callable[[Program, dict], Forged]
    stopped_by: str


def complete(p: Program, x) -> Program:
    p.slot("x", [x], 1)
    p.slot("advice", p.hints, 1, shifted=True)
    return p


def hint(p: Program, label: str) -> int:
    """The last hint of that label."""
    return [n.id for n in p.hints if n.label == label][-1]


def first(values: dict, node: int, forged: int) -> Forged:
    """The tensor with its first element replaced."""
    return {node: [forged, *(int(v) for v in values[node].ravel()[1:])]}


def at(values: dict, node: int) -> int:
    return int(values[node].ravel()[0])


# -- exact division -----------------------------------------------------------------------------------------


def division(q: int = 4) -> Program:
    p = Program(TABLE)
    x = p.input("x", (4,), 8, 14)
    rescale(p, x, q, TABLE, "quotient")
    return complete(p, x)


def quotient_fraction(p, values):
    """Of 4x - 64d - r + 32 = 0 the forger chooses r, and divides."""
    limb = hint(p, "quotient remainder 0")
    return first(values, hint(p, "quotient"), fraction(4 * at(values, 0) + 31, 64)) | first(values, limb, 1)


def quotient_off(by: int):
    def forge(p, values):
        d, limb = hint(p, "quotient"), hint(p, "quotient remainder 0")
        return first(values, d, at(values, d) + by) | first(values, limb, at(values, limb) - 64 * by)

    return forge


def quotient_alone(p, values):
    d = hint(p, "quotient")
    return first(values, d, at(values, d) + 1)


def high_limb_off(p, values):
    """The quotient one too small, and the high limb large enough to make up for it."""
    d, high = hint(p, "quotient"), hint(p, "quotient remainder 1")
    return first(values, d, at(values, d) - 1) | first(values, high, at(values, high) + 64)


def limb_fraction(i: int):
    """Any quotient at all: one limb is 5, the other is whatever fraction, or large number, is left."""

    def forge(p, values):
        d = hint(p, "quotient")
        limbs = [hint(p, f"quotient remainder {k}") for k in (0, 1)]
        quotient = at(values, d) + 7
        left = 16 * at(values, 0) - 4096 * quotient + 2048
        forged = fraction(left - 5, 64) if i else left - 5 * 64
        return first(values, d, quotient) | first(values, limbs[i], forged) | first(values, limbs[1 - i], 5)

    return forge


# -- wide integers ------------------------------------------------------------------------------------------


def wide() -> Program:
    p = Program(TABLE)
    x = p.input("x", (4,), 0, 14)
    signed(p, x, 10, "x")
    return complete(p, x)


def wide_fraction(i: int | None):
    """A third, with limbs that make it up, one of them no row of the table; or with those of another."""

    def forge(p, values):
        third, half = fraction(1, 3), 2**11
        low, high = hint(p, "x limb 0"), hint(p, "x limb 1")
        made = first(values, 0, third)
        if i == 0:
            made |= first(values, low, third + half - 64 * 5) | first(values, high, 5)
        if i == 1:
            made |= first(values, low, 5) | first(values, high, (third + half - 5) * fraction(1, 64))
        return made

    return forge


# -- rectifiers, committed products, tables -----------------------------------------------------------------


def rectifier() -> Program:
    p = Program(TABLE)
    x = p.input("x", (4,), 8, 6)
    signed(p, x, TABLE, "x range")
    rectify(p, x, "relu")
    return complete(p, x)


def mask_flipped(p, values):
    m, s, x = hint(p, "relu"), hint(p, "relu side"), values[0]
    flipped = 1 - values[m]
    return {m: flipped.tolist(), s: (2 * flipped * x - flipped - x).tolist()}


def mask_alone(p, values):
    m = hint(p, "relu")
    return {m: [1 - int(v) for v in values[m]]}


def mask_fraction(p, values):
    """2mx - m - x = 2 has the solution m = (2 + x) / (2x - 1)."""
    x = at(values, 0)
    m = fraction(2 + x, 2 * x - 1)
    return first(values, hint(p, "relu"), m) | first(values, hint(p, "relu side"), 2)


def square() -> Program:
    p = Program(TABLE)
    x = p.input("x", (4,), 0, 4)
    y = commit(p, p.mul(x, x), "square")
    signed(p, y, 2 * TABLE, "square range")
    return complete(p, x)


def square_off(p, values):
    """The square one too large; its limbs make up the larger one."""
    y, low = hint(p, "square value"), hint(p, "square range limb 0")
    return first(values, y, at(values, y) + 1) | first(values, low, at(values, low) + 1)


ABSOLUTE = FunctionTable("absolute", -4, (4, 3, 2, 1, 0, 1, 2, 3))


def function() -> Program:
    p = Program(TABLE)
    x = p.input("x", (4,), 0, 4)
    signed(p, x, TABLE, "x range")
    p.function(x, ABSOLUTE, 0)
    p.count_lookups()
    return complete(p, x)


def function_off(p, values):
    y = p.functions[0].y
    return first(values, y, at(values, y) + 1)


def outside_the_table(p, values):
    return first(values, 0, 5) | first(values, p.functions[0].y, 5)


def counts_moved(p, values):
    """A wrong result, and counts as they would be for an argument that has it."""
    y, counts = p.functions[0].y, p.counts[0]
    moved = values[counts].copy()
    moved[at(values, 0) + 4] -= 1
    moved[at(values, 0) + 5] += 1
    return first(values, y, at(values, y) + 1) | {counts: moved.tolist()}


# -- averages -----------------------------------------------------------------------------------------------


def average() -> Program:
    return average_program(4, TABLE, 1)


def wide_average() -> Program:
    return average_program(4, TABLE, 2)


def average_inputs(total: np.ndarray) -> dict[str, list]:
    delta = (total + 2 ** (TABLE - 1)) >> TABLE
    return {"remainder": list(total + 2 ** (TABLE - 1) - (delta << TABLE)), "delta": list(delta)}


TOTALS = np.array([700, -333, 0, 31])


def average_off(by: int):
    """Another average for the same sum, with the remainder whose commitment the hub computes for it."""

    def forge(p, values):
        return first(values, 1, at(values, 1) + by) | first(values, 0, at(values, 0) - by * 2**TABLE)

    return forge


def average_fraction(p, values):
    total = at(values, 0) + 2**TABLE * at(values, 1)
    return first(values, 0, 9) | first(values, 1, fraction(total - 9, 2**TABLE))


def average_fraction_in_limbs(p, values):
    """The same where delta has two limbs: the higher is the fraction that leaves a lower in range."""
    total = at(values, 0) + 2**TABLE * at(values, 1)
    delta = fraction(total - 9, 2**TABLE)
    high = (delta + 2**11 - 5) * fraction(1, 2**TABLE)
    return first(values, 0, 9) | first(values, 1, delta) | first(values, hint(p, "delta limb 1"), high)


def average_beyond(p, values):
    return first(values, 1, 2 ** (TABLE - 1))


# -- a training step ----------------------------------------------------------------------------------------


def exact_step() -> Program:
    return tiny_step(12)


def step_off(by: int):
    def forge(p, values):
        d, limb = p.slots[2].nodes[0], hint(p, "step 0 remainder 0")
        return first(values, d, at(values, d) + by) | first(values, limb, at(values, limb) - 64 * by)

    return forge


def step_alone(p, values):
    d = p.slots[2].nodes[0]
    return first(values, d, at(values, d) + 1)


def step_fraction(p, values):
    """Divide the raw step exactly in the field: the remainder is in range, the step is no integer."""
    d, limb = p.nodes[p.slots[2].nodes[0]], hint(p, "step 0 remainder 0")
    raw = at(values, d.inputs[0])
    return first(values, d.id, fraction(4 * raw + 31, 64)) | first(values, limb, 1)


def sample_fraction(of: str):
    """With the model at zero the step is y * x * constant: choose the step, divide, and call it a sample.

    The error is -16y; two divisions by 16 follow. The forger's step is 1, so that the first quotient is 16.
    """

    def forge(p, values):
        x, y = p.slots[1].nodes
        error = hint(p, "gradient right value")
        (d, r), (step, s) = (
            (n.id, m.id)
            for n, m in zip(
                [n for n in p.hints if n.label == "step 0"],
                [n for n in p.hints if n.label == "step 0 remainder 0"],
                strict=True,
            )
        )
        made = first(values, d, 16) | first(values, step, 1) | first(values, s, 4 * 16 - 64 + 32)
        product = fraction(64 * 16 + 1 - 32, 4)  # x * error, so that the first remainder is 1
        made |= first(values, r, 1)
        if of == "x":
            return made | first(values, x, product * fraction(1, at(values, error)))
        forged = product * fraction(1, at(values, x))
        return made | first(values, error, forged) | first(values, y, -forged * fraction(1, 16))

    return forge


def error_off(p, values):
    """The committed error of the prediction is one too large; all that follows from it is computed anew."""
    error = hint(p, "gradient right value")
    forged = at(values, error) + 1
    raw = forged * at(values, p.slots[1].nodes[0])
    made = first(values, error, forged)
    for n, m in zip(
        [n for n in p.hints if n.label == "step 0"],
        [n for n in p.hints if n.label == "step 0 remainder 0"],
        strict=True,
    ):
        quotient = (raw + 8) >> 4
        made |= first(values, n.id, quotient) | first(values, m.id, 4 * raw - 64 * quotient + 32)
        raw = quotient
    return made


DIVIDE = {"x": [100, -37, 8, 24]}
DIVIDE_WIDE = {"x": [1000, -370, 80, 240]}
RECTIFY = {"x": [10, -7, 0, 24]}
SMALL = {"x": [1, -4, 0, 3]}

ATTACKS = {
    "quotient is a fraction": Attack(division, DIVIDE, quotient_fraction, "check quotient range"),
    "remainder above its range": Attack(division, DIVIDE, quotient_off(-1), "check quotient remainder 0"),
    "remainder below its range": Attack(division, DIVIDE, quotient_off(1), "check quotient remainder 0"),
    "another quotient": Attack(division, DIVIDE, quotient_alone, "equation quotient remainder"),
    "high limb above its range": Attack(
        lambda: division(8), DIVIDE_WIDE, high_limb_off, "check quotient remainder 1"
    ),
    "high limb is a fraction": Attack(
        lambda: division(8), DIVIDE_WIDE, limb_fraction(1), "check quotient remainder 1"
    ),
    "low limb above its range": Attack(
        lambda: division(8), DIVIDE_WIDE, limb_fraction(0), "check quotient remainder 0"
    ),
    "wide integer is a fraction, low limb": Attack(wide, DIVIDE, wide_fraction(0), "check x limb 0"),
    "wide integer is a fraction, high limb": Attack(wide, DIVIDE, wide_fraction(1), "check x limb 1"),
    "wide integer is not its limbs": Attack(wide, DIVIDE, wide_fraction(None), "equation x limbs"),
    "mask bit flipped": Attack(rectifier, RECTIFY, mask_flipped, "check relu side"),
    "mask bit flipped alone": Attack(rectifier, RECTIFY, mask_alone, "equation relu side"),
    "mask is a fraction": Attack(rectifier, RECTIFY, mask_fraction, "equation relu bit"),
    "committed product one too large": Attack(square, SMALL, square_off, "equation square value"),
    "tabulated function is wrong": Attack(function, SMALL, function_off, "functions"),
    "argument outside a table": Attack(function, SMALL, outside_the_table, "functions"),
    "counts of a table moved": Attack(function, SMALL, counts_moved, "functions"),
    "step one too large": Attack(tiny_step, TINY, step_off(1), "check step 0 remainder 0"),
    "step one too small": Attack(tiny_step, TINY, step_off(-1), "check step 0 remainder 0"),
    "step is a fraction": Attack(tiny_step, TINY, step_fraction, "check step 0 range"),
    "another step": Attack(tiny_step, TINY, step_alone, "equation step 0 remainder"),
    "another exact step": Attack(exact_step, TINY | {"y": [[-1]]}, step_alone, "equation step 0 value"),
    "error of the prediction is wrong": Attack(
        tiny_step, TINY, error_off, "equation gradient right value"
    ),
    "sample is a fraction": Attack(tiny_step, TINY, sample_fraction("x"), "check x range"),
    "target is a fraction": Attack(tiny_step, TINY, sample_fraction("y"), "check y range"),
    "average one too large": Attack(average, average_inputs(TOTALS), average_off(1), "check remainder"),
    "average one too small": Attack(average, average_inputs(TOTALS), average_off(-1), "check remainder"),
    "average is a fraction": Attack(average, average_inputs(TOTALS), average_fraction, "check delta range"),
    "average is a fraction in limbs": Attack(
        wide_average, average_inputs(TOTALS), average_fraction_in_limbs, "check delta limb 1"
    ),
    "average beyond its range": Attack(average, average_inputs(TOTALS), average_beyond, "check delta range"),
}  # fmt: skip
