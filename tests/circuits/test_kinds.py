"""Every kind of circuit against torch, numpy and its own reference graph; and what is wrong is named."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from kinds_project import DECLARATIONS, FORWARD, TRAINING, kinds_project

from fedproof.circuits.program import build_program, float_graph, training_step
from fedproof.circuits.spec import load_spec
from fedproof.circuits.witness import sample_inputs
from fedproof.errors import CallerError
from fedproof.lowering import evaluate, reference_graph
from fedproof.project import Project

pytestmark = pytest.mark.reference

WEIGHTS, INPUTS, TARGETS, ACTIVATIONS = 10, 4, 4, 6


@pytest.fixture
def kinds(tmp_path) -> Project:
    return kinds_project(tmp_path)


def program_of(project: Project, name: str):
    spec = load_spec(name, project.circuits)
    return build_program(spec, project.circuits, float_graph(spec, project.root))


def slot_of(program, values, name: str):
    slot = next(s for s in program.slots if s.name == name)
    return np.concatenate([values[i].ravel() for i in slot.nodes])


def numbers(seed: int = 0) -> dict[str, np.ndarray]:
    """A model, a batch and everything else a step may take, in integers."""
    rng = np.random.default_rng(seed)
    return {
        "model": rng.integers(-(2**WEIGHTS), 2**WEIGHTS, 9),
        "x": rng.integers(-(2**INPUTS), 2**INPUTS, (4, 2)),
        "y": np.eye(3, dtype=np.int64)[rng.integers(0, 3, 4)] * 2**TARGETS,
        "state": rng.integers(-(2**WEIGHTS), 2**WEIGHTS, 9),
        "mask": rng.integers(0, 2, (4, 2)),
        "step_salt": np.zeros(17, dtype=np.int64),
        "state_salt": np.zeros(17, dtype=np.int64),
    }


def scores(given) -> np.ndarray:
    weights, bias = given["model"][:6].reshape(3, 2), given["model"][6:]
    return given["x"] @ weights.T + bias * 2**INPUTS


@pytest.mark.parametrize("name", DECLARATIONS)
def test_numpy_and_the_reference_graph_agree(kinds, name):
    program = program_of(kinds, name)
    given = sample_inputs(program)
    values = evaluate(program, given)
    session = onnxruntime.InferenceSession(reference_graph(program).SerializeToString())
    found = session.run(None, given)
    for node, tensor in zip(program.nodes, found, strict=True):
        assert np.array_equal(values[node.id], tensor), node
    assert all(not np.any(values_of(values, e)) for e in program.equations)


def values_of(values, equation):
    return sum(c * values[n] for c, n in equation.terms) + equation.constant


def test_an_answer_is_the_models_rounded_once(kinds):
    given = numbers()
    program = program_of(kinds, "scores-inference")
    values = evaluate(program, {n: given[n] for n in ("model", "x")})
    q = WEIGHTS + INPUTS - ACTIVATIONS
    rounded = (scores(given) + 2 ** (q - 1)) >> q
    assert np.array_equal(slot_of(program, values, "answer"), rounded.ravel())


@pytest.mark.parametrize("seed", range(8))
def test_a_count_is_that_of_argmax(kinds, seed):
    given = numbers(seed)
    program = program_of(kinds, "scores-evaluation")
    labels = given["y"] >> TARGETS
    values = evaluate(program, {"model": given["model"], "x": given["x"], "y": labels})
    right = (scores(given).argmax(1) == labels.argmax(1)).sum()
    assert slot_of(program, values, "count").tolist() == [right]


def test_of_equal_scores_the_first_counts(kinds):
    program = program_of(kinds, "scores-evaluation")
    labels = np.eye(3, dtype=np.int64)[[0, 1, 2, 0]]
    none = {"model": np.zeros(9, dtype=np.int64), "x": np.zeros((4, 2), dtype=np.int64), "y": labels}
    assert slot_of(program, evaluate(program, none), "count").tolist() == [2]


@pytest.mark.parametrize("row", [[1, 1, 0], [0, 0, 0], [2, -1, 0]])
def test_labels_that_are_not_one_hot_break_a_claim(kinds, row):
    program = program_of(kinds, "scores-evaluation")
    given = numbers()
    labels = given["y"] >> TARGETS
    labels[1] = row
    values = evaluate(program, {"model": given["model"], "x": given["x"], "y": labels}, check=False)
    assert any(np.any(values_of(values, e)) for e in program.equations if "label" in e.label)


def run_torch(project: Project, name: str, given) -> dict[str, np.ndarray]:
    step = training_step(load_spec(name, project.circuits), project.root)
    step.module.double()
    scales = {"model": WEIGHTS, "state": WEIGHTS, "x": INPUTS, "y": TARGETS, "mask": 0}
    inputs = {n: torch.from_numpy(given[n] / 2.0 ** scales[n]) for n in step.inputs()}
    return {n: v.detach().numpy() for n, v in step.run(inputs).items()}


@pytest.mark.parametrize("name", ["scores-momentum", "scores-dropping"])
def test_a_step_with_a_state_or_a_mask_is_torchs_but_for_rounding(kinds, name):
    given = numbers()
    program = program_of(kinds, name)
    taken = [str(n.attr("name")) for n in program.nodes if n.op == "input"]
    values = evaluate(program, {n: given[n] for n in taken})
    wanted = run_torch(kinds, name, given)
    results = ["step", "new_state"] if "state" in taken else ["step"]
    for result in results:
        found = slot_of(program, values, result)[:9] / 2**WEIGHTS
        assert np.abs(found - wanted[result]).max() < 2**-6, result


def test_momentum_is_that_of_torch_optim(kinds):
    spec = load_spec("scores-momentum", kinds.circuits)
    step = training_step(spec, kinds.root)
    module = step.module.double()
    sgd = torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.5, weight_decay=0.25)
    given = numbers()
    x, y = (torch.from_numpy(given[n] / 16.0) for n in ("x", "y"))
    theta = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    state = torch.zeros_like(theta)
    for _ in range(3):
        out = step.run({"model": theta, "x": x, "y": y, "state": state})
        theta, state = theta - out["step"], out["new_state"]
        sgd.zero_grad()
        step.loss(module(x), y).backward()
        torch.nn.utils.clip_grad_value_(module.parameters(), 0.5)
        sgd.step()
    ours = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    assert torch.allclose(theta, ours)


WRONG = [
    ('of = "scores"', 'of = "scores-inference"', "is not one"),
    ("logrows = 9", "logrows = 10", "logrows is 10, that of 'scores' is 9"),
    ("[plonk]", "[numbers]\nweights = 4\n[plonk]", "numbers.weights is the model's"),
    ("[plonk]", "[numbers]\nfoo = 4\n[plonk]", "numbers.foo: Extra inputs"),
    ("[plonk]", "[numbers]\nrange = 99\n[plonk]", "numbers.range: Input should be less"),
    ("[plonk]", "[numbers]\ntable = 4\n[plonk]", "salt has another length"),
    ("columns = 2", "columns = 2\nsegments = 2", "only a training step can be cut"),
    ("batch = 4", "batch = 4\nloss = 'x'", "loss: Extra inputs"),
    ("batch = 4", "", "batch: Field required"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_wrong_forward_declaration(kinds, old, new, message):
    (kinds.circuits / "scores-inference.toml").write_text(FORWARD.replace(old, new, 1))
    with pytest.raises(CallerError, match=message):
        load_spec("scores-inference", kinds.circuits)


WRONG_OPTIMISERS = [
    ("[optimiser]\nmomentum = 1.0", "optimiser.momentum: Input should be less than 1"),
    ("[optimiser]\nmomentums = 0.5", "optimiser.momentums: Extra inputs"),
    ("[optimiser]\nclip = 0", "optimiser.clip: Input should be greater than 0"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_OPTIMISERS)
def test_a_wrong_optimiser(kinds, text, message):
    (kinds.circuits / "scores.toml").write_text(f"{TRAINING}\n{text}\n")
    with pytest.raises(CallerError, match=message):
        load_spec("scores", kinds.circuits)


def test_numbers_of_its_own(kinds):
    declared = FORWARD.replace("[plonk]", "[numbers]\nactivations = 8\n\n[plonk]")
    (kinds.circuits / "scores-inference.toml").write_text(declared)
    given, program = numbers(), program_of(kinds, "scores-inference")
    found = slot_of(program, evaluate(program, {n: given[n] for n in ("model", "x")}), "answer")
    assert np.array_equal(found, ((scores(given) + 2**5) >> 6).ravel())


def test_an_evaluation_needs_scores(kinds):
    (kinds.circuits / "scores.toml").write_text(TRAINING.replace("target = [3]", "target = [2]"))
    with pytest.raises(CallerError, match=r"shape \(4, 3\); an evaluation needs \(B, 2\)"):
        program_of(kinds, "scores-evaluation")
