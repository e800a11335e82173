"""The circuit graph says what the program claims, for every content of the committed vectors.

Random field elements stand for inputs and hints, honest or not, and for the challenge: two polynomials that
agree there are the same.
"""

from __future__ import annotations

import secrets
from random import Random

import numpy as np
import pytest
from field_model import P, agree_on, claimed, computed, given_tensors, random_felts, tensors, vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import OPERATIONS, random_program

from fedproof.lowering import Equation, Program, average_program, circuit_graph, evaluate
from fedproof.lowering.circuit.cells import float_summands
from fedproof.lowering.claims import FunctionTable
from fedproof.lowering.gadgets import bit, commit, rectify, rescale, signed

pytestmark = pytest.mark.reference

some = settings(max_examples=40, deadline=None)
many = settings(max_examples=300, deadline=None)
games = st.integers(0, 2**40).map(Random)


def the_graph_is_the_claims(program: Program) -> None:
    graph = circuit_graph(program)
    supplied = {n.id: random_felts(n.shape) for n in program.nodes if n.op in ("input", "hint")}
    agree_on(program, graph, supplied)


def honest_values_pass(program: Program, inputs: dict[str, np.ndarray]) -> dict[int, np.ndarray]:
    values = evaluate(program, inputs)
    supplied = given_tensors(program, values)
    assert agree_on(program, circuit_graph(program), supplied) == program.lookups
    return supplied


@many
@given(games)
def test_any_program(g):
    the_graph_is_the_claims(random_program(g))


@pytest.mark.parametrize("operation", OPERATIONS)
@some
@given(g=games)
def test_one_operation(operation, g):
    the_graph_is_the_claims(random_program(g, 2, (operation,)))


@pytest.mark.parametrize("operation", ["matmul", "conv", "sum", "gather", "concat", "reshape"])
@some
@given(g=games)
def test_an_operation_among_movements(operation, g):
    only = (operation, operation, "reshape", "transpose", "expand", "slice")
    the_graph_is_the_claims(random_program(g, 6, only))


# -- gadgets ------------------------------------------------------------------------------------------------


def slots(p: Program, *inputs):
    p.slot("x", list(inputs), 1)
    if p.hints:
        p.slot("advice", p.hints, 1, shifted=True)
    return p


@some
@given(st.integers(2, 9), st.integers(0, 25), st.integers(2, 12), st.data())
def test_rescale(w, q, bits, data):
    p = Program(w)
    x = p.input("x", (5,), q, 40)
    rescale(p, x, q, bits, "quotient")
    slots(p, x)
    the_graph_is_the_claims(p)
    width = -(-bits // w) * w
    low, high = (-(2 ** (width - 1)) << q), ((2 ** (width - 1)) << q) - 2 ** max(q - 1, 0)
    values = [data.draw(st.integers(max(low, -(2**39)), min(high, 2**39) - 1)) for _ in range(5)]
    honest_values_pass(p, {"x": np.array(values)})


@some
@given(st.integers(2, 9), st.integers(1, 30), st.data())
def test_signed(w, bits, data):
    p = Program(w)
    x = p.input("x", (4,), 0, 40)
    proven = signed(p, x, bits, "x")
    assert bits <= proven < bits + w
    assert proven % w == 0
    slots(p, x)
    the_graph_is_the_claims(p)
    half = 2 ** (proven - 1)
    honest_values_pass(p, {"x": np.array([-half, half - 1, 0, data.draw(st.integers(-half, half - 1))])})


@some
@given(st.integers(2, 9), st.lists(st.integers(-(2**9) + 1, 2**9), min_size=4, max_size=4))
def test_rectify(w, values):
    p = Program(w)
    x = p.input("x", (4,), 0, 11)
    rectify(p, x, "relu")
    slots(p, x)
    the_graph_is_the_claims(p)
    values = [max(-(2**w) + 1, min(2**w, v)) for v in values]
    honest_values_pass(p, {"x": np.array(values)})


def test_bit_and_commit():
    p = Program(6)
    x, m = p.input("x", (2, 3), 0, 6), p.input("m", (2, 3), 0, 6)
    bit(p, m, "m")
    y = commit(p, p.mul(m, x), "product")
    signed(p, y, 6, "y")
    slots(p, x, m)
    the_graph_is_the_claims(p)
    honest_values_pass(p, {"x": np.array([[5, -7, 0], [31, -32, 1]]), "m": np.array([[0, 1, 1], [1, 1, 0]])})


@pytest.mark.parametrize("sizes", [((1,),), ((5,), (2, 3)), ((4,), (3,), (1,))])
def test_function_lookups(sizes):
    squares = FunctionTable("square", -3, tuple(i * i for i in range(-3, 4)))
    absolute = FunctionTable("absolute", -2, (2, 1, 0, 1))
    p, inputs = Program(6), {}
    for i, shape in enumerate(sizes):
        x = p.input(f"x{i}", shape, 0, 3)
        y = p.function(x, squares if i % 2 == 0 else absolute, 0)
        signed(p, y, 6, f"y{i}")
        inputs[f"x{i}"] = np.resize([1, -2, 0, -1, 1], shape)
    given_inputs = [n for n in p.nodes if n.op == "input"]
    p.count_lookups()
    slots(p, *given_inputs)
    the_graph_is_the_claims(p)
    supplied = honest_values_pass(p, inputs)
    # A wrong result, or a wrong count, is noticed.
    for target in (p.functions[0].y, p.counts[0]):
        wrong = dict(supplied)
        wrong[target] = supplied[target] + np.eye(1, supplied[target].size, dtype=np.int64).reshape(
            supplied[target].shape
        )
        noticed(p, wrong)


@pytest.mark.parametrize("limbs", [1, 2, 3])
def test_average(limbs):
    p = average_program(6, 5, limbs)
    the_graph_is_the_claims(p)
    half = 2 ** (5 * limbs - 1)
    honest_values_pass(
        p,
        {
            "remainder": np.array([0, 31, 7, 0, 1, 2]),
            "delta": np.array([0, -half, half - 1, 1, -1, 5]),
        },
    )


# -- what is wrong is noticed -------------------------------------------------------------------------------


def noticed(program: Program, supplied) -> None:
    for _ in range(3):
        r = secrets.randbelow(P)
        out = computed(circuit_graph(program), vectors(program, supplied, r), program.table_bits)
        assert int(out[0][0]) != program.lookups


@settings(max_examples=100, deadline=None)
@given(games)
def test_a_wrong_constant_or_value_is_noticed(g):
    """Honest values pass; with a constant one off, or any element of an equation, they do not."""
    p = random_program(g)
    p.checks = [c for c in p.checks if c.offset == 2]
    first = next(n for n in p.nodes if n.op == "input" and n.bound == 2)
    if not p.checks:
        p.check(first, 2, "some check")
    supplied = {n.id: np.array([g.randint(-2, 1) for _ in range(n.size)]) for n in p.nodes if n.op == "input"}
    values = tensors(p, supplied | {n.id: np.zeros(n.shape, dtype=object) for n in p.hints})
    for n in p.nodes:  # hints of these programs are copies, made true in order
        if n.op == "hint":
            supplied[n.id] = values[n.inputs[0]]
            values = tensors(p, supplied | {h.id: supplied.get(h.id, values[h.id]) for h in p.hints})
    for e in p.equations:
        if e.label.startswith("equation"):
            (c, x), (_, y) = e.terms
            supplied[y] = c * values[x] + e.constant
    values = tensors(p, supplied)
    assert agree_on(p, circuit_graph(p), supplied) == p.lookups
    j = g.randrange(len(p.equations))
    e = p.equations[j]
    target = e.terms[1][1]
    wrong = dict(supplied)
    flat = np.asarray(values[target], dtype=object).ravel().copy()
    flat[g.randrange(len(flat))] += g.choice([1, -1, 2**64, secrets.randbelow(P - 1) + 1])
    wrong[target] = flat
    noticed(p, wrong)
    p.equations[j] = Equation(e.terms, e.constant + g.choice([1, -1]), e.label)
    noticed(p, supplied)


# -- regressions --------------------------------------------------------------------------------------------


def program(build) -> Program:
    p = Program(6)
    inputs = build(p)
    return slots(p, *inputs)


def weighed_and_contracted(p: Program):
    """A shifted tensor summed with the same weights with its shift (a product) and without (an equation)."""
    w, x = p.input("w", (2, 3), 0, 6), p.input("x", (3, 5), 8, 9)
    commit(p, p.matmul(w, rescale(p, x, 4, 6, "d")), "product")
    return w, x


def single_axis_gathered(p: Program):
    x, y = p.input("x", (3, 5), 0, 6), p.input("y", (3, 4), 0, 12)
    p.check(x, 0, "x")
    total = p.gather(p.sum(x, (1,), keepdims=True), 1, (0, 0, 0, 0))
    p.equate([(1, total), (-1, y)], 0, "total")
    return x, y


def stacked_rows_gathered(p: Program):
    a, b, y = p.input("a", (5,), 0, 6), p.input("b", (5,), 0, 6), p.input("y", (2, 5), 0, 12)
    p.check(a, 0, "a")
    rows = [p.reshape(p.times(v, 3), (1, 5)) for v in (a, b)]
    p.equate([(1, p.gather(p.concat(rows, 0), 0, (1, 0))), (-1, y)], 0, "stack")
    return a, b, y


def large_factors(p: Program):
    x, y = p.input("x", (3,), 0, 6), p.input("y", (3,), 0, 60)
    p.check(x, 32, "x")
    v = x
    for _ in range(3):
        v = p.times(v, 4095)
    p.equate([(1, v), (-1, y)], 3 * 2**30 + 1, "large")
    return x, y


def large_shift(p: Program):
    x, y = p.input("x", (3,), 0, 6), p.input("y", (3,), 0, 60)
    signed(p, rescale(p, x, 2, 6, "d"), 6, "d")
    d = p.times(p.times(p.hints[0], 4095, 0), 4095)
    p.equate([(1, p.mul(d, x)), (-1, y)], 0, "product")
    return x, y


def one_element(p: Program):
    x, y = p.input("x", (1,), 0, 6), p.input("y", (1, 1), 0, 6)
    rescale(p, x, 3, 6, "d")
    p.equate([(1, p.reshape(p.hints[0], (1, 1))), (-1, p.restate(y, -3))], 0, "one")
    return x, y


def constant_without_challenge(p: Program):
    x = p.input("x", (3,), 0, 6)
    p.check(p.add(x, p.const(np.array([1, 2, 3]), 0)), 32, "x")
    return (x,)


@pytest.mark.parametrize(
    "build",
    [
        weighed_and_contracted,
        single_axis_gathered,
        stacked_rows_gathered,
        large_factors,
        large_shift,
        one_element,
        constant_without_challenge,
    ],
    ids=lambda f: f.__name__,
)
def test_regressions(build):
    the_graph_is_the_claims(program(build))


@given(st.integers(-(2**70), 2**70))
def test_any_integer_is_a_sum_of_exact_floats(value):
    summands = float_summands(value)
    assert sum(summands) == value
    assert all(int(np.float32(s)) == s for s in summands)


def test_the_order_of_claims_and_weights_is_the_definition():
    """By hand: one lookup, and two equations of two elements with the weights r^4, r^5 and r^8, r^9."""
    p = Program(6)
    x, y = p.input("x", (2,), 0, 6), p.input("y", (2,), 0, 6)
    p.check(x, 32, "x")
    p.equate([(1, x), (-1, y)], 0, "first")
    p.equate([(2, x)], -1, "second")
    p.slot("all", [x, y], 0)
    r = 10
    supplied = {x.id: np.array([3, 4]), y.id: np.array([1, 1])}
    expected = 2 + 2 * 10**4 + 3 * 10**5 + 5 * 10**8 + 7 * 10**9
    assert claimed(p, supplied, r) == expected
    (out, late) = computed(circuit_graph(p), vectors(p, supplied, r), 6)
    assert (int(out[0]), int(late[0])) == (expected, r)
