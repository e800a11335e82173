"""The circuit graph in ezkl: every tensor equals the numpy evaluation and the reference graph, exactly."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np
import pytest
from field_model import P, claimed, given_tensors
from lowering_cases import agree, float_graph, lower, node

from fedproof.circuits import layout
from fedproof.circuits.program import build_program
from fedproof.circuits.program import float_graph as demo_graph
from fedproof.circuits.spec import load_spec
from fedproof.errors import CallerError, TerminalError
from fedproof.lowering import Program, average_program
from fedproof.lowering.circuit import exposed
from fedproof.lowering.circuit.cells import CellEmitter
from fedproof.lowering.gadgets import commit, rectify, rescale, signed
from fedproof.lowering.windows import direct_taps

pytestmark = pytest.mark.witness

ROOT = Path(__file__).resolve().parents[2]
ZERO = {"zero": np.float32(0)}


def signed_integers(felts):
    """Field elements back to signed integers."""
    return np.array([f - P if f > P // 2 else f for f in felts], dtype=np.int64)


def differ_nowhere(program, inputs, in_ezkl, logrows, columns=1):
    """Compile with every tensor exposed, compute the witness, compare each with numpy and onnxruntime.

    The first output is what the claims make it, for honest values and for others.
    """
    values = agree(program, inputs)
    circuit = in_ezkl(program, logrows, columns, expose=True)
    assert circuit.settings["required_range_checks"] == []
    supplied = given_tensors(program, values)
    r = secrets.randbelow(P)
    first, *others = circuit.outputs(supplied, r)
    assert first == [program.lookups]
    if program.challenged:
        assert others.pop(0) == [r]
    for n, felts in zip(exposed(program), others, strict=True):
        np.testing.assert_array_equal(
            signed_integers(felts), values[n.id].ravel(), err_msg=f"{n.op} {n.label}"
        )
    if program.challenged:
        one_off(program, circuit, supplied)


def one_off(program, circuit, supplied):
    """Every tensor of an equation one off, where it stays in range: ezkl refuses other rows."""
    wrong = dict(supplied)
    for i in {i for e in program.equations for _, i in e.terms} & supplied.keys():
        moved = supplied[i].copy()
        moved.ravel()[0] += 1
        inside = all((moved + c.offset < 2**program.table_bits).all() for c in program.checks if c.node == i)
        wrong[i] = moved if inside else supplied[i]
    assert any((wrong[i] != supplied[i]).any() for i in supplied)
    r = secrets.randbelow(P)
    assert circuit.outputs(wrong, r)[0] == [claimed(program, wrong, r)] != [program.lookups]


def whole(nodes, shapes, constants=None, *, bits=16):
    """A float graph as a complete program: its inputs in one slot, a claim on its output, its advice."""
    program, inputs, outputs = lower(float_graph(nodes, shapes, constants), bits=8)
    for i, out in enumerate(outputs.values()):
        signed(program, out, bits, f"out{i}")
    program.slot("x", list(inputs.values()), 1)
    if program.hints:
        program.slot("advice", program.hints, 1, shifted=True)
    return program


def complete(p, *inputs):
    p.slot("x", inputs, 2)
    p.slot("advice", p.hints, 1, shifted=True)
    return p


def division():
    p = Program(7)
    x = p.input("x", (3, 4), 8, 14)
    rescale(p, x, 4, 9, "short")
    rescale(p, x, 9, 5, "long")
    return complete(p, x)


def rectifier():
    p = Program(7)
    x = p.input("x", (3, 4), 4, 8)
    m, a = rectify(p, x, "relu")
    signed(p, commit(p, p.mul(m, a), "twice"), 14, "twice range")
    return complete(p, x)


def convolution():
    p = Program(7)
    x, w = p.input("x", (2, 4, 5, 6), 0, 4), p.input("w", (6, 2, 3, 2), 0, 4)
    y = p.conv(x, w, direct_taps(5, 5, 3, 1, 1, 1), direct_taps(6, 3, 2, 2, 1, 0), 2)
    rescale(p, y, 4, 7, "y")
    return complete(p, x, w)


def batched_product():
    p = Program(7)
    x, w = p.input("x", (2, 3, 4), 0, 5), p.input("w", (2, 4, 3), 0, 5)
    rescale(p, p.matmul(x, w), 4, 7, "y")
    return complete(p, x, w)


def moved():
    """Sums, gathers, expansions and joins under one equation, none of them computed in the circuit."""
    p = Program(7)
    x, w = p.input("x", (4, 3), 0, 5), p.input("w", (3, 4), 0, 5)
    both = p.concat([p.matmul(x, w), p.expand(p.sum(p.matmul(x, w), (1,), keepdims=True), (4, 2))], 1)
    part = p.gather(p.reshape(p.transpose(both, (1, 0)), (4, 6)), 1, (5, 0, 0, 3))
    rescale(p, p.slice(part, 0, 1, 4), 3, 7, "y")
    return complete(p, x, w)


X = {"x": (3, 4)}
XY = {"x": (3, 4), "y": (4, 2)}
PROGRAMS = {
    "exact division, one limb and two": division,
    "rectifier": rectifier,
    "convolution": convolution,
    "batched matrix product": batched_product,
    "movements": moved,
    "average": lambda: average_program(9, 7, 1),
    "average, two limbs": lambda: average_program(9, 7, 2),
    "sums": lambda: whole([node("Add", ["x", "y"])], {"x": (3, 4), "y": (4,)}),
    "differences": lambda: whole([node("Sub", ["x", "y"])], {"x": (3, 4), "y": (3, 1)}),
    "products": lambda: whole([node("Mul", ["x", "y"])], {"x": (3, 4), "y": (1, 4)}),
    "product with a constant": lambda: whole([node("Mul", ["x", "c"])], X, {"c": np.float32(-3)}),
    "products with constants": lambda: whole(
        [node("Mul", ["x", "c"])], {"x": (2,)}, {"c": np.array([1.5, -2.25], np.float32)}, bits=24
    ),
    "constant added": lambda: whole([node("Add", ["x", "c"])], X, {"c": np.ones((3, 4), np.float32)}),
    "square": lambda: whole([node("Pow", ["x", "c"])], X, {"c": np.float32(2)}),
    "matrix product": lambda: whole([node("MatMul", ["x", "y"])], XY),
    "gemm": lambda: whole([node("Gemm", ["x", "y", "z"], transB=1)], {"x": (3, 4), "y": (2, 4), "z": (2,)}),
    "transpose": lambda: whole([node("Transpose", ["x"], perm=[1, 0])], X),
    "reshape and slice": lambda: whole(
        [
            node("Reshape", ["x", "s"], "flat"),
            node("Slice", ["flat", "a", "b"], "part"),
            node("Neg", ["part"]),
        ],
        X,
        {"s": np.array([12]), "a": np.array([3]), "b": np.array([11])},
    ),
    "concat of two scales": lambda: whole(
        [node("Mul", ["x", "x"], "xx"), node("Concat", ["xx", "x"], "j", axis=0), node("Neg", ["j"])], X
    ),
    "sum over an axis": lambda: whole([node("ReduceSum", ["x", "a"], keepdims=0)], X, {"a": np.array([0])}),
    "relu": lambda: whole([node("Relu", ["x"])], X),
    "comparison and where": lambda: whole(
        [node("LessOrEqual", ["x", "zero"], "m"), node("Where", ["m", "zero", "y"])], X | {"y": (3, 4)}, ZERO
    ),
    "rescale before a product": lambda: whole(
        [node("Mul", ["x", "y"], "xy"), node("Mul", ["xy", "y"])], X | {"y": (3, 4)}, bits=24
    ),
}


@pytest.mark.parametrize(
    ("name", "columns"),
    [(name, 1) for name in PROGRAMS] + [(n, 2) for n in ("relu", "convolution", "movements")],
)
def test_every_tensor_is_the_same_in_numpy_onnxruntime_and_ezkl(name, columns, in_ezkl):
    program = PROGRAMS[name]()
    rng = np.random.default_rng(len(name))
    if name.startswith("average"):
        inputs = {"remainder": rng.integers(0, 128, 9), "delta": rng.integers(-64, 64, 9)}
    else:
        inputs = {
            n.attr("name"): rng.integers(-n.bound, n.bound, n.shape) for n in program.nodes if n.op == "input"
        }
    differ_nowhere(program, inputs, in_ezkl, 13 if name == "convolution" else 11, columns)


@pytest.mark.parametrize("name", ["digits-linear", "digits-mlp"])
def test_every_tensor_of_a_demo_circuit_is_the_same(name, in_ezkl):
    spec = load_spec(name, ROOT / "circuits")
    program = build_program(spec, ROOT / "circuits", demo_graph(spec, ROOT))
    n, rng = spec.numbers, np.random.default_rng(1)
    sizes = {i.attr("name"): i.shape for i in program.nodes if i.op == "input"}
    half = 2 ** (n.table - 1)
    inputs = {
        "model": rng.normal(0, 0.05 * 2**n.weights, sizes["model"]).astype(np.int64),
        "x": rng.integers(0, 17, sizes["x"]) << (n.inputs - 4),
        "y": np.eye(10, dtype=np.int64)[rng.integers(0, 10, spec.batch)] << n.targets,
        "step_salt": rng.integers(-half, half, sizes["step_salt"]),
    }
    values = agree(program, inputs)
    # Exposing every tensor takes more rows than proving; the SRS is not needed for a witness.
    circuit = in_ezkl(program, spec.plonk.logrows + 3, spec.plonk.columns, expose=True)
    r = secrets.randbelow(P)
    lookups, late, *others = circuit.outputs(given_tensors(program, values), r)
    assert (lookups, late) == ([program.lookups], [r])
    for node_, felts in zip(exposed(program), others, strict=True):
        np.testing.assert_array_equal(signed_integers(felts), values[node_.id].ravel(), err_msg=node_.label)


# -- what ezkl does that costs ------------------------------------------------------------------------------


def shared_factor(factors):
    p = Program(6)
    x = p.input("x", (8,), 0, 4)
    y = p.input("y", (8,), 0, 4)
    for n, f in zip((x, y), factors, strict=True):
        signed(p, p.times(n, f), 6, f"{n.label} times {f}")
    p.slot("x", [x, y], 0)
    return p


def test_two_products_with_one_factor_need_no_range_checks(in_ezkl):
    """Regression: ezkl 23.0.5 merges equal constants, and then adds range checks of its own."""
    assert in_ezkl(shared_factor((3, 3)), 9).settings["required_range_checks"] == []


def test_a_shared_constant_would_be_noticed(in_ezkl, monkeypatch):
    """The same program with one constant for both products: the compiler refuses what ezkl makes of it."""

    def shared(self, op, x, shape, values):
        return self.op(op, [x, self.constant(values)], self.fresh("shared"))

    monkeypatch.setattr(CellEmitter, "with_constants", shared)
    with pytest.raises(TerminalError, match="ezkl added its own range checks"):
        in_ezkl(shared_factor((3, 3)), 9)


def test_many_equal_constants_of_many_equations_need_no_range_checks(in_ezkl):
    """Uniform constants, scalars and shifts of equal value, in one circuit."""
    p = Program(6)
    x, w = p.input("x", (4, 3), 0, 4), p.input("w", (3, 4), 0, 4)
    for n in (x, w):
        signed(p, n, 6, n.label)
    y = rescale(p, p.matmul(x, w), 2, 6, "y")
    for i in range(4):
        product = p.times(p.mul(y, p.times(y, 3)), 3)
        y = rescale(
            p,
            p.add(p.matmul(product, p.times(y, 3)), p.times(y, 32, product.scale + y.scale)),
            9 + i,
            6,
            f"y{i}",
        )
    p.slot("batch", [x, w], 1, shifted=True)
    p.slot("advice", p.hints, 1, shifted=True)
    assert in_ezkl(p, 11).settings["required_range_checks"] == []


def sliced(size=64, parts=8):
    p = Program(6)
    x = p.input("x", (size,), 0, 6)
    width = size // parts
    total = p.slice(x, 0, 0, width)
    for i in range(1, parts):
        total = p.add(total, p.slice(x, 0, i * width, (i + 1) * width))
    signed(p, total, 6, "total")
    p.slot("x", [x], 0)
    return p


def test_slices_cost_no_cells(in_ezkl, monkeypatch):
    """Regression: as ONNX Slices they assign their whole input again, as Gathers they are free."""
    cells = in_ezkl(sliced(), 10).settings["total_assignments"]

    def paid(self, node_, x):
        bounds = [self.indices([node_.attr(a)]) for a in ("start", "stop", "axis")]
        return self.op("Slice", [x, *bounds], self.fresh("sliced"))

    monkeypatch.setattr(CellEmitter, "_moved", paid)
    assert in_ezkl(sliced(), 10).settings["total_assignments"] > cells


@pytest.mark.parametrize(("m", "k", "n"), [(8, 16, 12), (16, 8, 40)])
def test_a_product_costs_its_operands(m, k, n, in_ezkl):
    """m*k + k*n + k cells and what checking the result takes, not m*k*n."""
    p = Program(6)
    a, b, c = p.input("a", (m, k), 0, 4), p.input("b", (k, n), 0, 4), p.input("c", (m, n), 0, 12)
    signed(p, a, 6, "a")
    p.equate([(1, p.matmul(a, b)), (-1, c)], 0, "product")
    p.slot("x", [a, b, c], 1, shifted=True)
    cells = in_ezkl(p, 12).settings["total_assignments"]
    inputs, lookups, powers = m * k + k * n + m * n, 2 * m * k, 4 * (m + n) + 40
    assert cells <= 2 * inputs + lookups + powers
    assert cells < m * k * n


def test_a_circuit_that_does_not_fit_says_how_much_it_needs(in_ezkl):
    with pytest.raises(CallerError, match=r"needs \d+ rows of 1 cells, logrows = 8 has 256"):
        in_ezkl(average_program(200, 6, 1), 8)


def test_a_table_that_does_not_fit_one_column_is_refused(in_ezkl):
    with pytest.raises(CallerError, match=r"a table of 256 rows does not fit logrows = 8"):
        in_ezkl(average_program(5, 8, 1), 8)


def test_settings_pin_every_number(in_ezkl):
    circuit = in_ezkl(average_program(5, 6, 1), 9)
    args = circuit.settings["run_args"]
    assert args["lookup_range"] == [1, 64]
    assert args["input_visibility"] == "KZGCommit"
    assert args["ignore_range_check_inputs_outputs"] is True
    assert args["disable_freivalds"] is True
    assert [list(op) for op in circuit.settings["required_lookups"]] == [["Pow"]]
    assert json.loads((circuit.folder / layout.SETTINGS).read_text()) == circuit.settings


def test_a_value_out_of_range_changes_the_public_instance(in_ezkl):
    p = average_program(3, 6, 1)
    circuit = in_ezkl(p, 9)
    for remainder, expected in ([1, 2, 63], 6), ([1, 2, 64], 5), ([-1, 2, 3], None):
        (out,) = circuit.outputs({0: np.array(remainder), 1: np.array([0, -32, 31])})[0]
        assert (out == expected) if expected else out != 6


def test_equal_constants_of_single_numbers_need_no_range_checks(in_ezkl):
    """Regression: ezkl's parser drops the element by which two constants of one number differ."""
    p = Program(6)
    x, y = p.input("x", (1, 1), 0, 4), p.input("y", (1, 1), 0, 4)
    for n in (x, y):
        signed(p, n, 6, n.label)
    rescale(p, p.mul(p.times(x, 3), p.times(y, 3)), 4, 6, "z")
    rescale(p, p.times(p.hints[0], 3), 2, 6, "w")
    p.slot("batch", [x, y], 1, shifted=True)
    p.slot("advice", p.hints, 1, shifted=True)
    assert in_ezkl(p, 9).settings["required_range_checks"] == []
