"""Functions of one variable and softmax, inside the domains of their tables and far beyond."""

from __future__ import annotations

import lowering_cases
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lowering_cases import float_graph, lower, node
from op_cases import holds

from fedproof.errors import CallerError
from fedproof.lowering import Program, evaluate, quantize
from fedproof.lowering.ops.functions import FUNCTIONS, TAILS
from fedproof.lowering.saturation import held, held_at

pytestmark = pytest.mark.reference

few = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
#: Entries of a table, and fractional bits of an argument: ends at 3.75 on both sides.
ENTRIES, BITS = 5, 2
END = (2 ** (ENTRIES - 1) - 1) / 2**BITS
GO_ON = sorted(name for name, slopes in TAILS.items() if None not in slopes)


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    """32 entries: a forgery is weighed against each of them."""
    small = {"functions": ENTRIES, "function_input": BITS}
    monkeypatch.setattr(lowering_cases, "NUMBERS", lowering_cases.NUMBERS.model_copy(update=small))


def graph(name, shape=(4,)):
    return float_graph([node(f"Table_{name}", ["x"], domain="fedproof")], {"x": shape})


def meaning(name, x):
    """The function where the table holds the argument; beyond, on from its end along the slope there."""
    inside = np.clip(x, -END, END)
    below, above = TAILS[name]
    values = quantize(np.array([FUNCTIONS[name](float(v)) for v in inside]), 6) / 2.0**6
    return values + below * np.minimum(x + END, 0) + above * np.maximum(x - END, 0)


@pytest.mark.parametrize("name", GO_ON)
def test_a_function_goes_on_beyond_its_table(name):
    x = np.array([-60.0, -4.0, -3.75, 3.75, 4.0, 60.0, 0.25, -1.5])
    holds(graph(name, (8,)), {"x": x}, scale=BITS, expected=[meaning(name, x)])


@few
@given(st.sampled_from(GO_ON), st.integers(0, 2**32))
def test_any_argument(name, seed):
    x = np.random.default_rng(seed).integers(-255, 256, 4) / 2**BITS
    holds(graph(name), {"x": x}, scale=BITS, expected=[meaning(name, x)])


def test_a_rescaled_argument_goes_on_too():
    """Rounded half up first: 3.875 at three bits is 4 at two, an entry beyond the end."""
    x = np.array([3.875, -3.875, 1.125, 50.0])
    rounded = np.floor(x * 4 + 0.5) / 4
    holds(graph("gelu"), {"x": x}, scale=3, expected=[meaning("gelu", rounded)])


def test_where_the_bound_is_within_the_table_nothing_is_held():
    narrow, *_ = lower(graph("tanh"), scale=BITS, bits=ENTRIES - 1)
    wide, *_ = lower(graph("tanh"), scale=BITS, bits=ENTRIES + 1)
    kinds = [{h.attr("kind") for h in p.hints} for p in (narrow, wide)]
    assert kinds == [{"table"}, {"table", "held", "distance"}]


def test_an_exponential_goes_on_below_and_is_refused_above():
    x = np.array([-60.0, -5.0, 0.0, 3.75])
    values = np.round(np.exp(np.maximum(x, -4)) * 64) / 64
    program = holds(graph("exp"), {"x": x}, scale=BITS, expected=[values])
    with pytest.raises(CallerError, match=r"element 3 of its argument is 16, outside \[-16, 16\)"):
        evaluate(program, {"x": np.array([0, 0, 0, 16])})


@pytest.mark.parametrize("beyond", [-4.25, 4.0])
def test_a_function_without_tails_refuses_what_its_table_does_not_hold(beyond):
    program, *_ = lower(graph("sin"), scale=BITS)
    with pytest.raises(CallerError, match=r"element 1 of its argument is .*, outside"):
        evaluate(program, {"x": quantize(np.array([0, beyond, 0, 0]), BITS)})


@few
@given(st.sampled_from([(1, 3), (2, 2)]), st.integers(0, 2**32))
def test_a_softmax_of_scores_far_apart(shape, seed):
    """Distances up to 60, in a table that ends at 7.75."""
    x = np.random.default_rng(seed).integers(-120, 121, shape) / 2**BITS
    powers = np.exp(-np.minimum(x.max(-1, keepdims=True) - x, 7.75))
    expected = powers / powers.sum(-1, keepdims=True)
    one = float_graph([node("Softmax", ["x"])], {"x": shape})
    holds(one, {"x": x}, scale=BITS, expected=[expected], error=2**-9)


@pytest.mark.parametrize("x", range(-40, 41, 5))
def test_no_other_held_value_passes(x):
    """Every c of the domain and every s of the lookup: one pair fulfils the claims."""
    end = 7
    p = Program(6)
    c, s = held(p, p.input("x", (1,), 0, 8), end, "x")
    values = evaluate(p, {"x": np.array([x])})
    found = [
        (i, j)
        for i in range(-end, end + 1)
        for j in range(64)
        if end * (x - i) == j * i and j * (end - i) * (end + i) == 0
    ]
    assert (
        found
        == [(int(values[c.id][0]), int(values[s.id][0]))]
        == [(np.clip(x, -end, end), max(abs(x) - end, 0))]
    )


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("x", [-20, -7, 0, 7, 20])
def test_one_end_alone(x, above):
    p = Program(6)
    end = 7 if above else -7
    c = held_at(p, p.input("x", (1,), 0, 8), end, "x", above=above)
    assert int(evaluate(p, {"x": np.array([x])})[c.id][0]) == (min(x, 7) if above else max(x, -7))


@pytest.mark.parametrize("x", [-72, 72])
def test_an_argument_beyond_the_lookup_is_named(x):
    p = Program(6)
    held(p, p.input("x", (1,), 0, 8), 7, "score")
    with pytest.raises(CallerError, match=r"score excess: element \(0,\) is 65"):
        evaluate(p, {"x": np.array([x])})
