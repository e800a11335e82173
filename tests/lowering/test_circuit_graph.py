"""The circuit graph in ezkl: every tensor equals the numpy evaluation and the reference graph, exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from lowering_cases import agree, float_graph, lower, node

from fedproof.circuits import layout
from fedproof.circuits.program import build_program
from fedproof.circuits.program import float_graph as demo_graph
from fedproof.circuits.spec import load_spec
from fedproof.circuits.witness import slot_vectors
from fedproof.commitments import SCALAR_MODULUS
from fedproof.errors import CallerError, TerminalError
from fedproof.lowering import Program, average_program, circuit_graph
from fedproof.lowering.circuit import exposed
from fedproof.lowering.gadgets import range_check, rectify, rescale
from fedproof.provers.cpu import run_worker

pytestmark = pytest.mark.witness

ROOT = Path(__file__).resolve().parents[2]
ZERO = {"zero": np.float32(0)}


def signed(felts):
    """Field elements back to signed integers."""
    half = SCALAR_MODULUS // 2
    return np.array([f - SCALAR_MODULUS if f > half else f for f in felts], dtype=np.int64)


def lay_out(program: Program, folder: Path, logrows: int, columns: int = 1, *, expose: bool = False, **args):
    """ezkl's settings for a program, compiled into ``folder``."""
    onnx.save(circuit_graph(program, expose=expose), str(folder / "circuit.onnx"))
    given = (
        layout.run_args(program.table_bits, logrows, columns, freivalds=args.pop("freivalds", False)) | args
    )
    return run_worker("costs", folder=str(folder), run_args=given)["settings"]


def differ_nowhere(program, inputs, folder, logrows, columns=1, **args):
    """Compile with every tensor exposed, compute the witness, compare each with numpy and onnxruntime."""
    values = agree(program, inputs)
    settings = lay_out(program, folder, logrows, columns, expose=True, **args)
    assert settings["required_range_checks"] == []
    slots = slot_vectors(program, values, {s.name: [7] * s.salt for s in program.slots})
    text = [[str(v) for v in slot] for slot in slots]
    outputs = run_worker("witness", folder=str(folder), slots=text)["outputs"]
    assert [int(v) for v in outputs[0]] == [program.lookups]
    for n, felts in zip(exposed(program), outputs[1:], strict=True):
        np.testing.assert_array_equal(signed(felts), values[n.id].ravel(), err_msg=f"{n.op} {n.label}")
    return settings


def whole(nodes, shapes, constants=None, *, bits=16):
    """A float graph as a complete program: its inputs in one slot, a check on its output, its advice."""
    program, inputs, outputs = lower(float_graph(nodes, shapes, constants), bits=8)
    for i, out in enumerate(outputs.values()):
        range_check(program, out, 2 ** (bits - 1), bits, f"out{i}")
    program.slot("x", list(inputs.values()), 1)
    if program.hints:
        program.slot("advice", program.hints, 1)
    return program


def division():
    p = Program(7)
    x = p.input("x", (3, 4), 8, 14)
    rescale(p, x, 4, 9, "short")
    rescale(p, x, 9, 5, "long")
    p.slot("x", [x], 2)
    p.slot("advice", p.hints, 1)
    return p


def rectifier():
    p = Program(6)
    x = p.input("x", (3, 4), 4, 8)
    m, a = rectify(p, x, 8, "relu")
    range_check(p, p.mul(m, a), 0, 8, "twice")
    p.slot("x", [x], 1)
    p.slot("advice", p.hints, 0)
    return p


X = {"x": (3, 4)}
XY = {"x": (3, 4), "y": (4, 2)}
PROGRAMS = {
    "exact division, one limb and two": division,
    "rectifier": rectifier,
    "average": lambda: average_program(9, 7),
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


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_tensor_is_the_same_in_numpy_onnxruntime_and_ezkl(name, columns, tmp_path):
    program = PROGRAMS[name]()
    rng = np.random.default_rng(len(name))
    if name == "average":
        inputs = {"remainder": rng.integers(0, 128, 9), "delta": rng.integers(-64, 64, 9)}
    else:
        inputs = {
            n.attr("name"): rng.integers(-min(n.bound, 128), min(n.bound, 128), n.shape)
            for n in program.nodes
            if n.op == "input"
        }
    differ_nowhere(program, inputs, tmp_path, 11, columns)


@pytest.mark.parametrize("name", ["digits-linear", "digits-mlp"])
def test_every_tensor_of_a_demo_circuit_is_the_same(name, tmp_path):
    spec = load_spec(name, ROOT / "circuits")
    program = build_program(spec, ROOT / "circuits", demo_graph(spec, ROOT))
    n, rng = spec.numbers, np.random.default_rng(1)
    sizes = {i.attr("name"): i.shape for i in program.nodes if i.op == "input"}
    inputs = {
        "model": rng.normal(0, 0.05 * 2**n.weights, sizes["model"]).astype(np.int64),
        "x": rng.integers(0, 17, sizes["x"]) << (n.inputs - 4),
        "y": np.eye(10, dtype=np.int64)[rng.integers(0, 10, spec.batch)] << n.targets,
        "step_salt": rng.integers(-(2 ** (n.step - 1)), 2 ** (n.step - 1), sizes["step_salt"]),
    }
    # Exposing every tensor takes more rows than proving; the SRS is not needed for a witness.
    plonk = spec.plonk
    differ_nowhere(program, inputs, tmp_path, plonk.logrows + 2, plonk.columns, freivalds=plonk.freivalds)


# -- what ezkl does that costs ------------------------------------------------------------------------------


def shared_factor(factors):
    p = Program(6)
    x = p.input("x", (8,), 0, 4)
    y = p.input("y", (8,), 0, 4)
    for n, f in zip((x, y), factors, strict=True):
        range_check(p, p.times(n, f), 32, 6, f"{n.label} times {f}")
    p.slot("x", [x, y], 0)
    return p


def test_two_products_with_one_factor_need_no_range_checks(tmp_path):
    """Regression: ezkl 23.0.5 merges equal constants, and then adds range checks of its own."""
    settings = lay_out(shared_factor((3, 3)), tmp_path, 9)
    assert settings["required_range_checks"] == []


def test_a_shared_constant_would_be_noticed(tmp_path, monkeypatch):
    """The same program with one constant for both products: the compiler refuses what ezkl makes of it."""
    from fedproof.lowering.circuit import CircuitEmitter
    from fedproof.lowering.emit import Emitter

    monkeypatch.setattr(CircuitEmitter, "times", Emitter.times)
    with pytest.raises(TerminalError, match="ezkl added its own range checks"):
        lay_out(shared_factor((3, 3)), tmp_path, 9)


def sliced(p_size=64, parts=8):
    p = Program(6)
    x = p.input("x", (p_size,), 0, 6)
    width = p_size // parts
    total = p.slice(x, 0, 0, width)
    for i in range(1, parts):
        total = p.add(total, p.slice(x, 0, i * width, (i + 1) * width))
    range_check(p, total, 2**11, 12, "total")
    p.slot("x", [x], 0)
    p.slot("advice", p.hints, 0)
    return p


def test_slices_cost_no_cells(tmp_path, monkeypatch):
    """Regression: as ONNX Slices they assign their whole input again, as Gathers they are free."""
    from fedproof.lowering.circuit import CircuitEmitter
    from fedproof.lowering.emit import Emitter

    free, paid = tmp_path / "free", tmp_path / "paid"
    free.mkdir()
    paid.mkdir()
    cells = lay_out(sliced(), free, 10)["total_assignments"]
    monkeypatch.setattr(CircuitEmitter, "slice", Emitter.slice)
    assert lay_out(sliced(), paid, 10)["total_assignments"] > cells
    one = tmp_path / "one"
    one.mkdir()
    assert lay_out(sliced(parts=2), one, 10)["total_assignments"] > 0


def test_a_circuit_that_does_not_fit_says_how_much_it_needs(tmp_path):
    with pytest.raises(CallerError, match=r"needs \d+ rows of 1 cells, logrows = 8 has 256"):
        lay_out(average_program(200, 6), tmp_path, 8)


def test_a_table_that_does_not_fit_one_column_is_refused(tmp_path):
    with pytest.raises(CallerError, match=r"a table of 256 rows does not fit logrows = 8"):
        lay_out(average_program(5, 8), tmp_path, 8)


def test_settings_pin_every_number(tmp_path):
    settings = lay_out(average_program(5, 6), tmp_path, 9)
    args = settings["run_args"]
    assert args["lookup_range"] == [1, 64]
    assert args["input_visibility"] == "KZGCommit"
    assert args["ignore_range_check_inputs_outputs"] is True
    assert [list(op) for op in settings["required_lookups"]] == [["Pow"]]
    assert json.loads((tmp_path / layout.SETTINGS).read_text()) == settings


def test_a_value_out_of_range_changes_the_public_instance(tmp_path):
    p = average_program(3, 6)
    lay_out(p, tmp_path, 9)
    for remainder, expected in ([1, 2, 63], 6), ([1, 2, 64], 5), ([-1, 2, 3], None):
        slots = [[str(v) for v in s] for s in (remainder, [0, -32, 31])]
        (out,) = run_worker("witness", folder=str(tmp_path), slots=slots)["outputs"][0]
        assert (out == expected) if expected else out != 6
