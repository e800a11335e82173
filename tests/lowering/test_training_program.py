"""Whole training steps: tied gradients, both demo models, random and real data."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from lowering_cases import agree, real

from fedproof.circuits.program import build_program, float_graph, training_step
from fedproof.circuits.spec import load_spec
from fedproof.errors import CallerError
from fedproof.export import TrainingStep, export_step, flat_parameters
from fedproof.lowering import Numbers, evaluate, quantize, training_program

pytestmark = pytest.mark.reference

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from models.digits import load  # noqa: E402

DEMOS = ("digits-linear", "digits-mlp")


@pytest.fixture(scope="module", params=DEMOS)
def demo(request):
    """Declaration, torch step, float graph and integer program of a demo circuit."""
    spec = load_spec(request.param, ROOT / "circuits")
    graph = float_graph(spec, ROOT)
    return spec, training_step(spec, ROOT), graph, build_program(spec, ROOT / "circuits", graph)


def integers(spec, program, theta, x, y, seed=0):
    """Inputs of the program for real parameters and samples."""
    n, rng = spec.numbers, np.random.default_rng(seed)
    salt = next(i for i in program.nodes if i.op == "input" and i.attr("name") == "step_salt")
    return {
        "model": quantize(theta, n.weights),
        "x": quantize(x, n.inputs),
        "y": quantize(y, n.targets),
        "step_salt": rng.integers(-(2 ** (n.table - 1)), 2 ** (n.table - 1), salt.shape),
    }


def step_values(program, values):
    """The real step, its parts joined, without the salt."""
    parts = [program.nodes[i] for i in program.slots[2].nodes]
    return np.concatenate([real(values[p.id], p).ravel() for p in parts if p.op == "hint"])


def torch_step(step, inputs, spec):
    n = spec.numbers
    reals = [inputs["model"] / 2**n.weights, inputs["x"] / 2**n.inputs, inputs["y"] / 2**n.targets]
    with torch.no_grad():
        return step(*(torch.from_numpy(r).double() for r in reals)).numpy()


def compare(demo, theta, x, y, seed=0):
    spec, step, _, program = demo
    step.module.double()
    inputs = integers(spec, program, theta, x, y, seed)
    values = agree(program, inputs)
    actual, expected = step_values(program, values), torch_step(step, inputs, spec)
    step.module.float()
    assert actual.shape == expected.shape
    # Half a unit of the weights, and what the rescales inside lose: half a unit of a gradient or activation,
    # times the values it meets, summed over a batch, times the learning rate.
    inner = spec.batch * 2.0 ** -(min(spec.numbers.activations, spec.numbers.gradients) + 1)
    bound = 2.0 ** -(spec.numbers.weights + 1) + 4 * spec.learning_rate * inner / spec.batch
    error = np.abs(actual - expected)
    assert error.max() <= bound
    # On average the errors of a batch's samples do not add up, but as their square root.
    assert error.mean() <= spec.learning_rate * spec.batch**0.5 * 2.0**-spec.numbers.gradients
    return actual


@pytest.mark.parametrize("seed", range(3))
def test_a_demo_step_on_random_data_is_the_float_step_rounded(demo, seed):
    spec, step, _, _ = demo
    rng = np.random.default_rng(seed)
    theta = rng.normal(0, 0.05, step.parameters)
    x = rng.integers(0, 17, (spec.batch, 64)) / 16
    y = np.eye(10)[rng.integers(0, 10, spec.batch)]
    compare(demo, theta, x, y, seed)


def test_a_demo_learns_the_digits(demo):
    """Ten steps from the initial weights on real digits; all in range, the loss falls."""
    spec, step, _, _ = demo
    x, y = load()
    theta = quantize(flat_parameters(step.module), spec.numbers.weights) / 2.0**spec.numbers.weights

    def loss():
        named = {n: v.float() for n, v in step.unflatten(torch.from_numpy(theta)).items()}
        with torch.no_grad():
            out = torch.func.functional_call(step.module, named, (torch.from_numpy(x[:256]).float(),))
            return float(step.loss(out, torch.from_numpy(y[:256]).float()))

    before = loss()
    for i in range(10):
        batch = slice(i * spec.batch, (i + 1) * spec.batch)
        theta = theta - compare(demo, theta, x[batch], y[batch], i)
    assert loss() < 0.85 * before


def test_the_float_graph_of_a_demo_is_torch(demo):
    spec, step, graph, _ = demo
    rng = np.random.default_rng(5)
    theta = rng.normal(0, 0.05, step.parameters).astype(np.float32)
    x = rng.random((spec.batch, 64), dtype=np.float32)
    y = rng.random((spec.batch, 10), dtype=np.float32)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (actual,) = session.run(["step"], {"model": theta, "x": x, "y": y})
    with torch.no_grad():
        expected = step(*(torch.from_numpy(v) for v in (theta, x, y))).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_a_step_out_of_its_clip_range_is_refused(demo):
    spec, step, _, program = demo
    x, y = np.full((spec.batch, 64), 1.9), np.full((spec.batch, 10), -7.9)
    inputs = integers(spec, program, np.full(step.parameters, 0.1), x, y)
    with pytest.raises(CallerError, match=r"(step|range|side).*outside"):
        evaluate(program, inputs)


def test_samples_out_of_range_are_refused(demo):
    spec, step, _, program = demo
    x, y = np.zeros((spec.batch, 64)), np.zeros((spec.batch, 10))
    limit = 2 ** (spec.numbers.table - 1)
    x[1, 2] = limit / 2**spec.numbers.inputs
    with pytest.raises(CallerError, match=rf"input 'x': element \(1, 2\) is {limit}, outside"):
        evaluate(program, integers(spec, program, np.zeros(step.parameters), x, y))


class TwoBiases(torch.nn.Module):
    """Both parameters of one shape have one and the same gradient."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 1))
        self.first = torch.nn.Parameter(torch.zeros(1))
        self.second = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x @ self.weight + self.first + self.second


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]


NUMBERS = Numbers(
    table=8, weights=8, inputs=6, targets=4, activations=6, gradients=9, range=9, step=8, model=16
)


@pytest.mark.parametrize("weights", [8, 7])
def test_parameters_with_one_gradient_have_two_places(weights):
    """Regression: the two steps were one tensor, and one of its two places was left unconstrained."""
    step = TrainingStep(TwoBiases(), squared, 0.25, 4, (2,), (1,))
    program = training_program(export_step(step).graph, NUMBERS.model_copy(update={"weights": weights}))
    nodes = [i for s in program.slots for i in s.nodes]
    assert len(nodes) == len(set(nodes))
    length = sum(program.nodes[i].size for i in program.slots[2].nodes)
    assert length == 4 + 17
    rng = np.random.default_rng(0)
    inputs = {
        "model": rng.integers(-100, 100, 4),
        "x": rng.integers(-64, 64, (4, 2)),
        "y": rng.integers(-16, 16, (4, 1)),
        "step_salt": np.zeros(17, np.int64),
    }
    values = agree(program, inputs)
    step_of = np.concatenate([values[i].ravel() for i in program.slots[2].nodes])
    assert step_of[2] == step_of[3]


def test_weights_wider_than_the_step_make_it_exact():
    """Nothing is rounded once: the step is the gradient times the learning rate, an equation says so."""
    step = TrainingStep(TwoBiases(), squared, 4.0, 4, (2,), (1,))
    numbers = NUMBERS.model_copy(update={"weights": 24, "model": 32})
    program = training_program(export_step(step).graph, numbers)
    *parts, _ = (program.nodes[i] for i in program.slots[2].nodes)
    assert {(n.attr("kind"), n.scale) for n in parts} == {("exact", 24)}
    assert {n.id for n in parts} <= {i for e in program.equations for _, i in e.terms}


class Branching(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x * self.w if float(x.sum()) > 0 else x


def test_a_module_that_cannot_be_exported_is_named():
    with pytest.raises(CallerError, match=r"cannot export a training step of Branching.*control flow"):
        export_step(TrainingStep(Branching(), squared, 0.25, 4, (1,), (1,)))
