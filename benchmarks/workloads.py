"""The same work for both sides: real digits, real-valued models in the middle of their training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks.ours import Work
from fedproof.circuits import TrainingSpec
from fedproof.circuits.program import training_step
from fedproof.circuits.store import FLOAT, Circuit
from fedproof.errors import CallerError
from fedproof.export import TrainingStep, flat_parameters, load_attribute
from fedproof.lowering import Program, evaluate, quantize
from fedproof.lowering.ir import IntArray
from fedproof.project import Project
from fedproof.rounds import Aggregator, ModelVector, Trainer
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.vectors import training_spec

Floats = NDArray[np.float64]
#: Steps taken in floating point before the measured one: a fresh model has zero gradients in some layers.
WARM_UP_STEPS = 20
#: Pixels of an image of digits.
SMALL, ENLARGED = 64, 784


@dataclass(frozen=True)
class TrainingWork:
    """One SGD step: the model (D,), a batch, and the step (D,) in float64."""

    theta: Floats
    x: Floats
    y: Floats
    step: Floats


def training_work(spec: TrainingSpec, project: Project) -> TrainingWork:
    """Return a step of the declared model on the digits after some steps of training."""
    step, batches = _float_step(spec, project), _batches(project, spec)
    theta = torch.from_numpy(flat_parameters(step.module))
    for x, y in batches[:WARM_UP_STEPS]:
        theta = theta - step(theta, torch.from_numpy(x), torch.from_numpy(y))
    x, y = batches[WARM_UP_STEPS]
    exact = step(theta, torch.from_numpy(x), torch.from_numpy(y)).numpy()
    return TrainingWork(theta.numpy(), x, y, exact)


def our_training(circuit: Circuit, work: TrainingWork) -> Work:
    """Return the same step in the circuit's integers."""
    trainer = Trainer(circuit, ModelVector.from_floats(circuit, work.theta))
    prepared = trainer.step(work.x, work.y)
    bits = training_spec(circuit).numbers.weights
    found = prepared.vector[: len(work.theta)] / 2.0**bits
    return Work(prepared.slots, found, work.step)


def exact_error(spec: TrainingSpec, program: Program, work: TrainingWork) -> float:
    """Return the largest error of the step in a program's integers, which takes no compiled circuit."""
    salt = next(n for n in program.nodes if n.op == "input" and n.attr("name") == "step_salt")
    numbers = spec.numbers
    inputs = {
        "model": quantize(work.theta, numbers.weights),
        "x": quantize(work.x, numbers.inputs),
        "y": quantize(work.y, numbers.targets),
        "step_salt": np.zeros(salt.shape, dtype=np.int64),
    }
    values = evaluate(program, inputs)
    places = next(s for s in program.slots if s.name == "step").nodes
    found = np.concatenate([values[i].ravel() for i in places])[: len(work.theta)]
    return float(np.abs(found / 2.0**numbers.weights - work.step).max())


def float_graph(circuit: Circuit) -> onnx.ModelProto:
    """Return the float graph that our circuit was lowered from."""
    return onnx.load(str(circuit.folder / FLOAT))


@dataclass(frozen=True)
class AveragingWork:
    """Updates (D + S,) of several trainers in integers, and their bits after the point."""

    model: ModelVector
    updates: list[IntArray]
    fractional_bits: int

    @property
    def floats(self) -> Floats:
        """The updates as real numbers (N, D + S)."""
        return np.array(self.updates) / 2.0**self.fractional_bits

    def weights(self, bits: int) -> list[int]:
        """Weights of trainers with equally many samples."""
        return fold_weights([1] * len(self.updates), bits)


def averaging_work(training: Circuit, project: Project, trainers: int) -> AveragingWork:
    """Return one real step of each of ``trainers`` trainers, on different batches, from one model."""
    spec = training_spec(training)
    work = training_work(spec, project)
    model = ModelVector.from_floats(training, work.theta)
    updates = []
    for x, y in _batches(project, spec)[:trainers]:
        trainer = Trainer(training, model)
        trainer.step(x, y)
        updates.append(trainer.update)
    return AveragingWork(model, updates, spec.numbers.weights)


def our_average(average: Circuit, work: AveragingWork) -> Work:
    """Return the exact average, ready to be proven."""
    aggregator = Aggregator(average)
    weights = work.weights(aggregator.bits)
    made = aggregator.average(work.updates, weights)
    exact = np.array(weights) @ work.floats / 2.0**aggregator.bits
    return Work(made.slots, made.delta / 2.0**work.fractional_bits, exact)


def mean_graph(trainers: int, length: int) -> onnx.ModelProto:
    """Return the float mean of (N, L) updates as ONNX: what one would write without knowing better."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["updates", "axes"], ["mean"], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("updates", TensorProto.FLOAT, [trainers, length])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [length])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _float_step(spec: TrainingSpec, project: Project) -> TrainingStep:
    step = training_step(spec, project.root)
    step.module.double()
    return step


def _batches(project: Project, spec: TrainingSpec) -> list[tuple[Floats, Floats]]:
    """Batches of real digits in the shapes that a declaration asks for."""
    x, y = _digits(project, math.prod(spec.sample))
    x, y = x.reshape(-1, *spec.sample), y.reshape(-1, *spec.target)
    size = spec.batch
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x) - size + 1, size)]


def _digits(project: Project, pixels: int) -> tuple[Floats, Floats]:
    if pixels == SMALL:
        [(x, y)], _ = load_attribute("models/digits.py:split", project.root)(1, 360, 0)
        return x, y
    if pixels == ENLARGED:
        x, y = load_attribute("models/digits.py:load_28", project.root)()
        order = np.random.default_rng(0).permutation(len(x))
        return x[order], y[order]
    raise CallerError(f"there are digits of {SMALL} and of {ENLARGED} pixels, not of {pixels}")
