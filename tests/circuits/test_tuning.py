"""Explaining and tuning a circuit: layers, ranges, the cost model, the Pareto front, the rewritten file."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from tiny_project import tiny_project

from fedproof.circuits.calibration import Calibration, integers, read_data, result
from fedproof.circuits.changes import single_changes, with_numbers
from fedproof.circuits.cost_model import NARROW, QUANTITIES, CostModel, Size
from fedproof.circuits.explain import explain
from fedproof.circuits.layers import by_layer
from fedproof.circuits.measurements import read_measurements
from fedproof.circuits.program import build_program, float_graph, training_step
from fedproof.circuits.ranges import limits, ranges
from fedproof.circuits.rewrite import follow, with_values, write_spec
from fedproof.circuits.sizes import least_logrows, size_of
from fedproof.circuits.spec import load_spec
from fedproof.circuits.tune import Budget, Candidate, pareto, step_scale, tune, with_accuracies
from fedproof.errors import CallerError
from fedproof.lowering.circuit.counting import CellCounter

pytestmark = pytest.mark.reference

MLP = '''"""A small perceptron of two features, and two classes."""

import torch


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(2, 3)
        self.output = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.output(torch.relu(self.hidden(x)))


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
'''
DATA = """
import numpy as np

def points():
    x = np.random.default_rng(0).integers(0, 17, (120, 2)) / 16
    return x, np.eye(2)[(x[:, 0] > x[:, 1]).astype(int)]
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    project = tiny_project(tmp_path_factory.mktemp("tuning"))
    (project.root / "models" / "tiny.py").write_text(MLP)
    (project.root / "models" / "points.py").write_text(DATA)
    path = project.circuits / "tiny.toml"
    path.write_text(
        with_values(path.read_text().replace("target = [1]", "target = [2]"), "plonk", {"logrows": 10})
    )
    average = project.circuits / "tiny-average.toml"
    average.write_text(with_values(average.read_text(), "plonk", {"logrows": 10}))
    return project


@pytest.fixture(scope="module")
def spec(tiny):
    return load_spec("tiny", tiny.circuits)


@pytest.fixture(scope="module")
def graph(tiny, spec) -> onnx.ModelProto:
    return float_graph(spec, tiny.root)


@pytest.fixture(scope="module")
def program(tiny, spec, graph):
    return build_program(spec, tiny.circuits, graph)


@pytest.fixture(scope="module")
def calibration(tiny, spec):
    x, y = read_data("models/points.py:points", spec, tiny.root)
    return Calibration(training_step(spec, tiny.root), x, y)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_the_layers_are_the_models_and_their_cells_add_up(program, columns):
    layers = by_layer(program, columns)
    assert sum(layer.total for layer in layers) == CellCounter(program).total(columns)
    names = {layer.name for layer in layers}
    assert {"model", "batch", "hidden", "relu", "hidden (gradient)", "output (gradient)"} <= names
    assert not names & {"reshape", "transpose", "optimiser"}, "movements belong to the layer they move"
    by_name = {layer.name: layer for layer in layers}
    assert "models/tiny.py:" in by_name["relu"].source
    # Two features and two targets of two samples, looked up at two cells each.
    assert by_name["batch"].cells == {"committed": 8, "lookups": 16}


def test_ranges_are_those_of_the_values(program, calibration):
    found = {r.tensor: r for r in ranges(program, calibration.cases)}
    x = np.concatenate([case.inputs["x"] for case in calibration.cases])
    assert (found["x"].least, found["x"].most) == (x.min(), x.max())
    assert (found["x"].low, found["x"].high) == (-4, 4)
    assert found["x"].spare_bits == pytest.approx(2 - np.log2(x.max()))
    assert all(r.used <= 1 for r in found.values())
    assert {limit.node for limit in limits(program)} <= {n.id for n in program.nodes}


def test_a_range_that_is_left_is_an_error(program, calibration):
    case = calibration.cases[0]
    wild = replace(case, inputs=case.inputs | {"x": case.inputs["x"] + 100})
    with pytest.raises(CallerError, match="'x'"):
        ranges(program, [wild])


def test_integers_follow_the_float_step(program, calibration):
    for case in calibration.cases:
        step = result(program, integers(program, case.inputs), "step")
        assert step.shape == case.step.shape
        assert np.abs(step - case.step).max() <= 2**-4, "five fractional bits, and a sum of two samples"
    assert 0 < calibration.error(program) < 1


def test_more_bits_err_less(tiny, spec, graph, calibration):
    fine = with_numbers(spec, activations=10, gradients=12, weights=24, table=14)
    assert calibration.error(build_program(fine, tiny.circuits, graph)) < 0.01


def test_training_in_integers_learns_what_floats_learn(tiny, spec, graph, calibration):
    fine = with_numbers(spec, activations=10, gradients=12, weights=24, table=14)
    order = calibration.order(2)
    theta = calibration.in_integers(build_program(fine, tiny.circuits, graph), calibration.start, order)
    twin = calibration.in_floats(calibration.start, order)
    assert np.abs(theta - twin).max() < 0.01
    assert calibration.accuracy(theta) == pytest.approx(calibration.accuracy(twin), abs=0.05)


def test_an_exact_step_has_the_scale_that_is_told(tiny, spec, graph):
    wide = with_numbers(spec, weights=30)
    scale = step_scale(build_program(wide, tiny.circuits, graph))
    # Batch of 2 and a learning rate of a half: one bit each.
    assert scale == spec.numbers.gradients + max(spec.numbers.activations, spec.numbers.inputs) + 1
    exact = build_program(with_numbers(spec, weights=scale), tiny.circuits, graph)
    assert step_scale(exact) == scale
    step = next(s for s in exact.slots if s.name == "step")
    kinds = [exact.nodes[i].attr("kind") for i in step.nodes if exact.nodes[i].op == "hint"]
    assert set(kinds) == {"exact"}, "nothing of the step is rounded"


def test_the_model_is_close_to_what_was_measured():
    model = CostModel()
    assert {m.columns for m in model.measurements} >= {1, 2, 3}
    for m in read_measurements():
        predicted = model.predict(Size.of(m))
        for name in ("pk_bytes", "peak_bytes", "proof_bytes", "verifier_bytes", "gas"):
            assert getattr(predicted, name) == pytest.approx(getattr(m, name), rel=0.05), (name, m)
    assert all(model.fits[name].rms < 0.25 for name in QUANTITIES)


def test_predictions_grow_with_the_circuit():
    model = CostModel()
    for columns in range(1, NARROW):
        for k in (11, 13, 15, 17):
            size = Size(k, columns, 5, columns * 2**k)
            larger = Size(k + 1, columns, 5, columns * 2 ** (k + 1))
            wider = Size(k, columns + 1, 5, (columns + 1) * 2**k)
            for other in (larger, wider):
                a, b = model.predict(size), model.predict(other)
                assert (a.prove_s, a.peak_bytes, a.pk_bytes) < (b.prove_s, b.peak_bytes, b.pk_bytes)
                assert a.gas <= b.gas + 1


def test_the_least_rows_fit_and_fewer_do_not(program):
    counter = CellCounter(program)
    for columns in (1, 2, 3):
        k = least_logrows(program, columns, counter)
        assert size_of(program, k, columns).fits
        assert k == program.table_bits + 1 or not size_of(program, k - 1, columns).fits


def test_an_explanation(tiny, spec, graph, calibration):
    found = explain(spec, tiny.circuits, graph, calibration)
    assert found.cells == sum(r.layer.total for r in found.layers)
    assert found.error == calibration.error(build_program(spec, tiny.circuits, graph))
    assert found.rows <= 2**spec.plonk.logrows
    assert any(r.change and r.saves > 0 for r in found.layers)
    for change in found.changes:
        assert change.cells == sum(change.layers.values())
    bare = explain(spec, tiny.circuits, graph, None)
    assert (bare.error, bare.ranges, bare.cells) == (None, [], found.cells)


def test_single_changes_change_one_number(spec):
    for what, changed in single_changes(spec):
        before, after = spec.numbers.model_dump(), changed.numbers.model_dump()
        differ = [name for name in before if before[name] != after[name]]
        assert len(differ) == 1
        assert what.startswith(differ[0])
        assert changed.numbers.table < spec.plonk.logrows


def test_tuning_chooses_the_fastest_within_the_budgets(tiny, spec, graph, calibration):
    # The nearest numbers are tried first, so that the budget is met however little time there is.
    budget, near = Budget(error=0.1), with_numbers(spec, activations=9, gradients=11, table=10)
    assert near
    found = tune(near, tiny.circuits, graph, calibration, budget, seconds=3)
    assert found.chosen
    assert found.chosen.error <= budget.error
    assert found.chosen.predicted.gas <= budget.gas
    assert found.chosen.size.fits
    accurate = [c.predicted.prove_s for c in found.front if c.error <= budget.error]
    assert found.chosen.predicted.prove_s <= min(accurate) * 1.03
    for a in found.front:
        assert not any(all(x < y for x, y in zip(b.place, a.place, strict=True)) for b in found.front)
    again = build_program(found.chosen.spec, tiny.circuits, graph)
    assert calibration.error(again) == found.chosen.error
    trained = with_accuracies(found, tiny.circuits, graph, calibration, budget, 1)
    for c in trained.front:
        assert c.overflows == (c.accuracy is None)
    assert trained.chosen is None or not trained.chosen.overflows


def test_nothing_is_chosen_where_nothing_is_within_the_budgets(tiny, spec, graph, calibration):
    assert tune(spec, tiny.circuits, graph, calibration, Budget(error=0.5, gas=1), seconds=1).chosen is None


def test_the_pareto_front_keeps_what_nothing_beats(spec):
    def candidate(seconds, gas, error):
        size = Size(9, 1, 5, 400)
        predicted = replace(CostModel().predict(size), prove_s=seconds, gas=gas)
        return Candidate(spec, size, error, predicted)

    fast, cheap, exact = candidate(1, 2, 0.2), candidate(2, 1, 0.2), candidate(3, 3, 0.1)
    beaten, twin = candidate(3, 3, 0.2), candidate(1, 2, 0.2)
    assert pareto([exact, beaten, cheap, fast, twin]) == [fast, cheap, exact]


def test_a_declaration_keeps_its_comments(tiny, spec, tmp_path):
    text = (
        "# top\nkind = 'x'\n\n[numbers]  # widths\ntable = 7  # bits\nweights = 6\n\n[plonk]\nlogrows = 9\n"
    )
    made = with_values(with_values(text, "numbers", {"table": 8, "model": 32}), "plonk", {"columns": 3})
    assert "# top\n" in made
    assert "table = 8  # bits\n" in made
    assert tomllib.loads(made) == {
        "kind": "x",
        "numbers": {"table": 8, "weights": 6, "model": 32},
        "plonk": {"logrows": 9, "columns": 3},
    }
    assert with_values(made, "numbers", {"table": 8}) == made


def test_the_averages_follow(tiny, spec, graph):
    texts = {path: path.read_text() for path in tiny.circuits.glob("*.toml")}
    try:
        plonk = spec.plonk.model_copy(update={"logrows": 11, "columns": 1})
        wanted = spec.model_copy(update={"plonk": plonk})
        write_spec("tiny", tiny.circuits, wanted)
        assert follow("tiny", tiny.circuits, graph) == ["tiny-average"]
        assert load_spec("tiny", tiny.circuits) == wanted
        average = load_spec("tiny-average", tiny.circuits)
        assert (average.plonk.logrows, average.plonk.columns) == (11, 1)
        assert follow("tiny", tiny.circuits, graph) == []
    finally:
        for path, text in texts.items():
            path.write_text(text)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("missing.npz", "missing.npz"),
        ("models/points.py:nothing", "nothing"),
        ("models/none.py:x", "none.py"),
    ],
)
def test_data_that_is_not_there(tiny, spec, reference, words):
    with pytest.raises(CallerError, match=words):
        read_data(reference, spec, tiny.root)


def test_data_of_another_shape(tiny, spec, tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros((10, 3)), y=np.zeros((10, 2)))
    with pytest.raises(CallerError, match=r"x has shape \(10, 3\)"):
        read_data(str(tmp_path / "data.npz"), spec, tiny.root)
