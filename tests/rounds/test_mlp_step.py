"""One step of the multilayer perceptron, taken, proven and verified offline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fedproof.circuits.program import training_step
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.errors import InvalidProof
from fedproof.export import flat_parameters
from fedproof.project import Project
from fedproof.rounds import ModelVector, Proof, Trainer, check_proof
from fedproof.rounds.vectors import training_spec

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return CircuitStore(Project.find()).get("digits-mlp")


@pytest.fixture(scope="module")
def second_step(circuit: Circuit) -> tuple[Trainer, Proof]:
    """Two steps, the second proven: the first gives the output layer, zero at the start, its weights."""
    spec = training_spec(circuit)
    module = training_step(spec, Project.find().root).module
    digits = load_digits()
    x, y = digits.data / 16, np.eye(10)[digits.target]
    trainer = Trainer(circuit, ModelVector.from_floats(circuit, flat_parameters(module)))
    trainer.step(x[: spec.batch], y[: spec.batch])
    return trainer, trainer.prove(
        trainer.step(x[spec.batch : 2 * spec.batch], y[spec.batch : 2 * spec.batch])
    )


def test_the_step_is_that_of_torch_but_for_rounding(
    circuit: Circuit, second_step: tuple[Trainer, Proof]
) -> None:
    trainer, _ = second_step
    spec = training_spec(circuit)
    step = training_step(spec, Project.find().root)
    step.module.double()
    digits = load_digits()
    batch = slice(spec.batch, 2 * spec.batch)
    x, y = torch.tensor(digits.data[batch] / 16), torch.eye(10, dtype=torch.float64)[digits.target[batch]]
    before = ModelVector.from_vector(circuit, np.array(trainer.steps[1].slot("model")))
    exact = step(torch.tensor(before.floats), x, y).numpy()
    found = trainer.steps[1].vector[: len(exact)] / 2.0**spec.numbers.weights
    assert np.abs(exact).max() > 0.01
    assert np.abs(found - exact).max() < 0.002


def test_the_proof_verifies_and_chains(circuit: Circuit, second_step: tuple[Trainer, Proof]) -> None:
    trainer, proof = second_step
    commitments = check_proof(circuit, proof)
    first = trainer.steps[0].vector
    assert commitments[0] == circuit.committer.full(trainer.start.minus(first).vector)
    assert commitments[2] == trainer.steps[1].commitment("step")


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_flipped_byte_is_refused(
    circuit: Circuit, second_step: tuple[Trainer, Proof], place: float
) -> None:
    raw = bytearray(second_step[1].raw)
    raw[int(len(raw) * place)] ^= 1
    with pytest.raises(InvalidProof):
        check_proof(circuit, second_step[1].model_copy(update={"proof": raw.hex()}))
