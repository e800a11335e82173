"""What the gadgets compute, what their checks admit, and what is refused with which message."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_cases import agree

from fedproof.circuits.program import vector_length
from fedproof.circuits.witness import slot_vectors
from fedproof.errors import CallerError
from fedproof.lowering import (
    Program,
    average_program,
    circuit_graph,
    div_round,
    evaluate,
    quantize,
    salt_length,
)
from fedproof.lowering.gadgets import commit, rectify, rescale, signed
from fedproof.lowering.table import exponent

pytestmark = pytest.mark.reference


def admitted(program: Program, name: str, values: list[int]) -> list[bool]:
    """Which of the values pass all checks of a program of one scalar input."""
    result = []
    for v in values:
        try:
            evaluate(program, {name: np.array([v])})
        except CallerError:
            result.append(False)
        else:
            result.append(True)
    return result


@given(st.integers(-(2**40), 2**40), st.integers(1, 30))
def test_rounding_is_half_up(x, q):
    d = int(div_round(np.array([x]), q)[0])
    assert 0 <= x + 2 ** (q - 1) - 2**q * d < 2**q


def test_rounding_at_ties_and_below_zero():
    x = np.array([-24, -20, -17, -16, -12, -8, -7, -4, 0, 4, 7, 8, 12, 16, 20, 24])
    rounded = [-1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2]
    np.testing.assert_array_equal(div_round(x, 4), rounded)
    p = Program(6)
    rescale(p, p.input("x", (16,), 4, 8), 4, 6, "quotient")
    values = agree(p, {"x": x})
    np.testing.assert_array_equal(values[p.hints[0].id], rounded)


@given(st.integers(2, 8), st.integers(1, 20), st.data())
@settings(deadline=None, max_examples=60)
def test_signed_admits_its_range_and_nothing_else(table, bits, data):
    p = Program(table)
    proven = signed(p, p.input("x", (1,), 0, 40), bits, "x")
    assert proven == -(-bits // table) * table
    low, high = -(2 ** (proven - 1)), 2 ** (proven - 1) - 1
    assert admitted(p, "x", [low, high, data.draw(st.integers(low, high))]) == [True] * 3
    outside = [low - 1, high + 1, low - 2**30, high + 2**30, high + data.draw(st.integers(1, 2**30))]
    assert admitted(p, "x", outside) == [False] * len(outside)
    with pytest.raises(CallerError, match=r"x( limb \d)?: element \(0,\) is -?\d+, outside"):
        evaluate(p, {"x": np.array([high + 1])})
    agree(p, {"x": np.array([low])})


def solutions(p: Program, x: int, d: int) -> bool:
    """Whether limbs exist with which ``d`` passes as the quotient of ``x``: over all their values."""
    (e,) = p.equations
    limbs = [i for _, i in e.terms[2:]]
    (a, _), (b, _), *weights = e.terms
    left = a * x + b * d + e.constant
    return any(
        left + sum(c * v for (c, _), v in zip(weights, values, strict=True)) == 0
        for values in product(range(2**p.table_bits), repeat=len(limbs))
    )


@given(st.integers(2, 4), st.integers(1, 8), st.integers(-300, 300))
@settings(deadline=None, max_examples=80)
def test_a_rescale_admits_one_quotient_only(table, q, x):
    """Of all integers d, and all limbs that lookups let through, the equation leaves the rounded quotient."""
    p = Program(table)
    n = p.input("x", (1,), q, 12)
    rescale(p, n, q, 12, "quotient", ranged=False)
    right = int(div_round(np.array([x]), q)[0])
    assert [d for d in range(right - 3, right + 4) if solutions(p, x, d)] == [right]


@given(st.integers(2, 6), st.integers(1, 12), st.integers(2, 12), st.integers(-(2**11), 2**11 - 1))
@settings(deadline=None, max_examples=60)
def test_a_rescale_proves_whole_lookups_of_its_quotient(table, q, bits, x):
    p = Program(table)
    rescale(p, p.input("x", (1,), q, 12), q, bits, "quotient")
    width = -(-bits // table) * table
    right = int(div_round(np.array([x]), q)[0])
    inside = -(2 ** (width - 1)) <= right < 2 ** (width - 1)
    if inside:
        values = agree(p, {"x": np.array([x])})
        assert values[p.hints[0].id][0] == right
    else:
        with pytest.raises(CallerError, match=r"quotient range( limb \d)?: element \(0,\) is -?\d+, outside"):
            evaluate(p, {"x": np.array([x])})


def test_a_multiplication_by_a_power_of_two_is_no_division():
    p = Program(6)
    d = rescale(p, p.input("x", (2,), 4, 6), -2, 8, "up", ranged=False)
    assert (d.op, d.scale, p.equations, p.checks) == ("times", 6, [], [])


@given(st.integers(-(2**8), 2**8 - 1), st.integers(4, 8))
def test_the_mask_is_one_above_zero_and_nothing_else_passes(x, table):
    p = Program(table)
    n = p.input("x", (1,), 0, 9)
    m, a = rectify(p, n, "relu")
    if not -(2**table) < x <= 2**table:
        with pytest.raises(CallerError, match="relu side"):
            evaluate(p, {"x": np.array([x])})
        return
    values = evaluate(p, {"x": np.array([x])})
    assert values[m.id][0] == (1 if x > 0 else 0)
    assert values[a.id][0] == max(x, 0)
    # The other bit breaks the side check.
    other = 1 - (1 if x > 0 else 0)
    side = 2 * other * x - other - x
    assert not 0 <= side < 2**table


def test_the_mask_at_zero_is_zero():
    p = Program(4)
    m, _ = rectify(p, p.input("x", (3,), 0, 4), "relu")
    np.testing.assert_array_equal(agree(p, {"x": np.array([-1, 0, 1])})[m.id], [0, 0, 1])


def test_a_claim_on_an_integer_costs_its_bits_in_lookups():
    def lookups(bits):
        p = Program(8)
        signed(p, p.input("x", (5,), 0, 30), bits, "x")
        return p.lookups, len(p.hints)

    assert [lookups(b) for b in (8, 7, 1)] == [(5, 0)] * 3
    assert [lookups(b) for b in (9, 16, 17, 24)] == [(10, 2), (10, 2), (15, 3), (15, 3)]


@pytest.mark.parametrize(("q", "expected"), [(1, 1), (8, 1), (9, 2), (16, 2), (17, 3)])
def test_a_remainder_costs_its_bits_in_lookups(q, expected):
    p = Program(8)
    rescale(p, p.input("x", (1,), q, 30), q, 8, "quotient")
    assert p.lookups == expected + 1


def test_what_is_committed_already_is_not_committed_again():
    p = Program(6)
    d = rescale(p, p.input("x", (2,), 4, 8), 4, 6, "quotient")
    assert commit(p, d, "again") is d
    assert commit(p, p.times(d, 3), "thrice").op == "hint"


def test_an_equation_that_could_wrap_around_is_refused():
    p = Program(6)
    x = p.input("x", (2,), 0, 60)
    p.equate([(2**192, x)], 0, "fits")
    with pytest.raises(CallerError, match="equation of wide could wrap around"):
        p.equate([(2**193, x)], 0, "wide")
    with pytest.raises(AssertionError, match="over the shapes"):
        p.equate([(1, x), (1, p.input("y", (1,), 0, 6))], 0, "shapes")


def test_a_hint_that_breaks_its_equation_is_a_bug_of_the_lowering():
    p = Program(6)
    x = p.input("x", (2,), 0, 6)
    y = p.hint("exact", x, x.shape, 0, x.bound, "y")
    p.equate([(1, x), (-1, y)], 1, "one off")
    with pytest.raises(AssertionError, match="honest values break the equation one off"):
        evaluate(p, {"x": np.array([1, 2])})


def test_a_vector_is_shifted_to_the_rows_that_are_looked_up():
    p = Program(6)
    x, y = p.input("x", (2,), 0, 6), p.input("y", (2,), 0, 6)
    for n in (x, y):
        signed(p, n, 6, n.label)
    p.slot("shifted", [x], 1, shifted=True)
    p.slot("plain", [y], 0)
    assert p.shifts() == {x.id: 33}
    values = evaluate(p, {"x": np.array([-32, 31]), "y": np.array([1, 2])})
    assert slot_vectors(p, values, {"shifted": [5], "plain": []}) == [[1, 64, 5], [1, 2]]


def test_the_message_of_a_broken_check_names_all_that_matters():
    p = Program(6)
    signed(p, p.input("x", (2, 3), 0, 12), 6, "step range")
    x = np.zeros((2, 3), np.int64)
    x[1, 0], x[1, 2] = 40, -33
    with pytest.raises(CallerError, match=r"step range: element \(1, 0\) is 40, outside \[-32, 32\); 2 of 6"):
        evaluate(p, {"x": x})


def test_declared_inputs_are_checked():
    p = Program(6)
    p.input("x", (2,), 4, 6)
    for arrays, message in [
        ({}, "input 'x' is missing; given: "),
        ({"x": np.zeros(3, np.int64)}, r"shape \(3,\), the circuit takes \(2,\)"),
        ({"x": np.zeros(2)}, "type float64"),
        ({"x": np.array([0, 32])}, r"element \(1,\) is 32, outside \[-32, 32\) at 4 fractional bits"),
        ({"x": np.array([-33, 0])}, r"element \(0,\) is -33"),
    ]:
        with pytest.raises(CallerError, match=message):
            evaluate(p, arrays)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_what_cannot_be_quantised_names_the_element_and_the_limit(value):
    with pytest.raises(
        CallerError, match=r"pixel: element \(0, 1\) is .*12 fractional bits.*limit is 1\.1259e\+15"
    ):
        quantize(np.array([[0.5, value]]), 12, "pixel")


@given(st.floats(-1e6, 1e6), st.integers(0, 20))
def test_quantising_rounds_half_up(x, scale):
    i = int(quantize(np.array(x), scale))
    assert -0.5 <= i - x * 2.0**scale < 0.5 + 1e-6
    assert abs(i - x * 2.0**scale) <= 0.5


def test_constants_that_float32_cannot_hold_are_refused():
    p = Program(6)
    x = p.input("x", (1,), 0, 6)
    signed(p, p.add(x, p.const(np.array([2**24 + 1]), 0)), 6, "y")
    p.slot("x", [x], 0)
    with pytest.raises(CallerError, match=r"constant 16777217 is not exact in float32"):
        circuit_graph(p)


@pytest.mark.parametrize("bits", range(2, 20))
def test_the_table_op_is_one_in_the_range_and_zero_beyond(bits):
    a = exponent(bits)
    assert a == np.float32(a)
    rows = np.unique(np.concatenate([np.arange(1, 2**bits + 1, max(1, 2**bits // 999)), [2**bits]]))
    assert (np.floor(rows.astype(float) ** a + 0.5) == 1).all()
    beyond = 2**bits + np.array([1, 2, 3, 2**bits, 2**24])
    assert (np.floor(beyond.astype(float) ** a + 0.5) == 0).all()


def test_a_table_too_wide_for_the_table_op_is_refused():
    with pytest.raises(CallerError, match="20 bits is too wide"):
        exponent(20)


def test_a_tensor_has_one_place_among_the_committed_vectors():
    p = Program(6)
    x = p.input("x", (1,), 0, 6)
    p.slot("a", [x], 0)
    with pytest.raises(AssertionError, match="two places"):
        p.slot("b", [x], 0)


@given(st.lists(st.integers(-(2**19), 2**19 - 1), min_size=3, max_size=3), st.integers(1, 2))
@settings(deadline=None)
def test_the_average_program_admits_the_rounded_average_only(total, limbs):
    t = 8
    p = average_program(3, t, limbs)
    s = np.array(total) if limbs == 2 else np.array(total) >> 4
    delta = div_round(s, t)
    inputs = {"remainder": s + 2 ** (t - 1) - (delta << t), "delta": delta}
    low, high = -(2 ** (limbs * t - 1)), 2 ** (limbs * t - 1) - 1
    if bool((delta >= low).all() and (delta <= high).all()):
        agree(p, inputs)
        for by in (-1, 1):
            with pytest.raises(CallerError, match="remainder"):
                evaluate(
                    p,
                    {
                        "remainder": inputs["remainder"] - (by << t),
                        "delta": np.clip(delta + by, low, high),
                    },
                )
    else:
        with pytest.raises(CallerError):
            evaluate(p, inputs)


def test_the_salt_has_130_bits():
    assert [salt_length(b) for b in (8, 11, 12, 13)] == [17, 12, 11, 10]
    assert vector_length(650, 11) == 662
