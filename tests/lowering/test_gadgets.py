"""What the gadgets compute, what their checks admit, and what is refused with which message."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_cases import agree
from onnx import numpy_helper

from fedproof.circuits.program import vector_length
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
from fedproof.lowering.gadgets import range_check, rectify, rescale
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


@given(st.integers(2, 8), st.integers(1, 20), st.data(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_range_check_admits_its_range_and_nothing_else(table, bits, data, signed):
    offset = 2 ** (bits - 1) if signed else 0
    p = Program(table)
    range_check(p, p.input("x", (1,), 0, 40), offset, bits, "x")
    low, high = -offset, 2**bits - offset - 1
    outside = [low - 1, high + 1, low - 2**table, high + 2**table, low - 2**30, high + 2**30]
    outside += [high + data.draw(st.integers(1, 2**30))]
    assert admitted(p, "x", [low, high, data.draw(st.integers(low, high))]) == [True] * 3
    assert admitted(p, "x", outside) == [False] * len(outside)
    agree(p, {"x": np.array([low])})


@given(st.integers(2, 6), st.integers(1, 12), st.integers(2, 12), st.integers(-(2**11), 2**11 - 1))
@settings(deadline=None, max_examples=60)
def test_a_rescale_admits_one_quotient_only(table, q, bits, x):
    """Honest values pass where the quotient is in range; any other quotient breaks the remainder's check."""
    p = Program(table)
    n = p.input("x", (1,), q, 12)
    d = p.input("d", (1,), 0, 30)  # in the place of the hint, to try any value
    rho = p.sub(n, p.times(d, 2**q, n.scale))
    range_check(p, rho, 2 ** (q - 1), q, "remainder")
    right = int(div_round(np.array([x]), q)[0])
    for wrong in (right - 1, right + 1, right + 2**table):
        with pytest.raises(CallerError, match="remainder"):
            evaluate(p, {"x": np.array([x]), "d": np.array([wrong])})
    evaluate(p, {"x": np.array([x]), "d": np.array([right])})
    whole = Program(table)
    rescale(whole, whole.input("x", (1,), q, 12), q, bits, "quotient")
    fits = -(2 ** (bits - 1)) <= right < 2 ** (bits - 1)
    assert admitted(whole, "x", [x]) == [fits]


@given(st.integers(-(2**8), 2**8 - 1), st.integers(4, 8))
def test_the_mask_is_one_above_zero_and_nothing_else_passes(x, table):
    p = Program(table)
    n = p.input("x", (1,), 0, 9)
    m, a = rectify(p, n, 9, "relu")
    values = evaluate(p, {"x": np.array([x])})
    assert values[m.id][0] == (1 if x > 0 else 0)
    assert values[a.id][0] == max(x, 0)
    # The other bit breaks the side check.
    other = 1 - (1 if x > 0 else 0)
    side = 2 * other * x - other - x
    assert not 0 <= side < 2**9


def test_the_mask_at_zero_is_zero():
    p = Program(4)
    m, _ = rectify(p, p.input("x", (3,), 0, 4), 4, "relu")
    np.testing.assert_array_equal(agree(p, {"x": np.array([-1, 0, 1])})[m.id], [0, 0, 1])


def test_a_range_check_costs_one_lookup_at_the_table_width():
    def lookups(bits):
        p = Program(8)
        range_check(p, p.input("x", (5,), 0, 30), 0, bits, "x")
        return p.lookups

    assert [lookups(b) for b in (8, 7, 1, 16, 12, 24)] == [5, 10, 10, 10, 15, 15]


def test_the_message_of_a_broken_check_names_all_that_matters():
    p = Program(6)
    range_check(p, p.input("x", (2, 3), 0, 12), 32, 6, "step range")
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
    y = p.add(x, p.const(np.array([2**24 + 1]), 0))
    range_check(p, y, 0, 6, "y")
    p.slot("x", [x], 0)
    with pytest.raises(CallerError, match=r"constant 16777217 is not exact in float32"):
        circuit_graph(p)


def test_multi_limb_offsets_are_exact_in_float32():
    """The offset of a check of many bits is taken from the high limb: 2**29 + 1 would not be exact."""
    p = Program(10)
    x = p.input("x", (1,), 0, 40)
    range_check(p, x, 2**29, 30, "x")
    p.slot("x", [x], 0)
    p.slot("advice", p.hints, 0)
    for tensor in circuit_graph(p).graph.initializer:
        if tensor.data_type == 1 and tensor.name != "exponent":
            assert np.abs(numpy_helper.to_array(tensor)).max() < 2**24


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


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=3, max_size=3))
def test_the_average_program_admits_the_rounded_average_only(total):
    t = 8
    p = average_program(3, t)
    s = np.array(total)
    delta = div_round(s, t)
    inputs = {"remainder": s + 2 ** (t - 1) - (delta << t), "delta": delta}
    fits = bool((delta >= -128).all() and (delta < 128).all())
    if fits:
        agree(p, inputs)
        for by in (-1, 1):
            with pytest.raises(CallerError):
                evaluate(
                    p, {"remainder": inputs["remainder"] - (by << t), "delta": np.clip(delta + by, -128, 127)}
                )
    else:
        with pytest.raises(CallerError):
            evaluate(p, inputs)


def test_the_salt_has_130_bits():
    assert [salt_length(b) for b in (8, 11, 12, 13)] == [17, 12, 11, 10]
    assert vector_length(650, 11) == 662
