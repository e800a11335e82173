"""Answers, counts and steps with a state are proven; whatever is another than claimed is named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from kinds_project import kinds_project

from fedproof.circuits.store import CircuitStore
from fedproof.circuits.witness import slot_vectors
from fedproof.commitments import Commitment
from fedproof.errors import CallerError, InvalidProof, TerminalError
from fedproof.lowering import evaluate
from fedproof.rounds import (
    Answer,
    ModelVector,
    Proof,
    Samples,
    Trainer,
    check_evaluation,
    check_inference,
    check_proof,
    check_steps,
    prove_evaluation,
    prove_inference,
    read_count,
)
from fedproof.rounds.answers import count
from fedproof.rounds.prepared import Prepared, prove_prepared

pytestmark = pytest.mark.prove

X = np.array([[0.5, -0.25], [1, 0.5], [-0.75, 0.125], [0.25, 1]])
THETA = np.array([1, 0.5, -0.5, 1, 0.25, -1, 0.125, 0, -0.25])
SCORES = X @ THETA[:6].reshape(3, 2).T + THETA[6:]
#: The last one is wrong.
LABELS = (SCORES.argmax(1) + np.array([0, 0, 0, 1])) % 3


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return CircuitStore(kinds_project(tmp_path_factory.mktemp("kinds")))


@dataclass
class Evaluated:
    circuit: object
    model: ModelVector
    samples: Samples
    count: int
    proof: Proof
    published: Commitment
    batch: Commitment


@pytest.fixture(scope="module")
def evaluated(store) -> Evaluated:
    circuit = store.get("scores-evaluation")
    model = ModelVector.from_floats(circuit, THETA)
    samples = Samples.from_floats(circuit, X, LABELS)
    found, proof = prove_evaluation(circuit, model, samples)
    pure = circuit.committer.pure
    return Evaluated(circuit, model, samples, found, proof, pure(model.vector), pure(samples.vector))


def test_a_count_is_proven_and_checked(evaluated):
    e = evaluated
    assert e.count == 3
    check_evaluation(e.circuit, e.proof, 3, model=e.published, batch=e.batch)
    assert read_count(e.circuit, check_proof(e.circuit, e.proof)) == 3


@pytest.mark.parametrize("claimed", [0, 2, 4, -1])
def test_another_count_is_refused(evaluated, claimed):
    e = evaluated
    with pytest.raises(InvalidProof, match=f"another count than the claimed count {claimed}"):
        check_evaluation(e.circuit, e.proof, claimed, model=e.published, batch=e.batch)


def test_another_model_and_other_labels_are_refused(evaluated):
    e = evaluated
    other = e.circuit.committer.pure(ModelVector.from_floats(e.circuit, THETA).vector)
    with pytest.raises(InvalidProof, match="another model than the committed"):
        check_evaluation(e.circuit, e.proof, 3, model=other, batch=e.batch)
    better = Samples.from_floats(e.circuit, X, SCORES.argmax(1), salt=e.samples.salt)
    with pytest.raises(InvalidProof, match="another batch than the committed"):
        check_evaluation(
            e.circuit, e.proof, 3, model=e.published, batch=e.circuit.committer.pure(better.vector)
        )


@pytest.mark.parametrize("forged", ["count", "labels"])
def test_a_forged_witness_has_no_proof(evaluated, forged):
    """The count one higher; a sample with two labels, of which one is right."""
    e, program = evaluated, evaluated.circuit.program
    labels = e.samples.labels.copy()
    if forged == "labels":
        labels[3] |= np.eye(3, dtype=np.int64)[SCORES[3].argmax()]
    values = evaluate(program, {"model": e.model.parameters, "x": e.samples.x, "y": labels}, check=False)
    honest = count(e.circuit, e.model, e.samples)[1]
    salts = {s.name: honest.slot(s.name)[len(honest.slot(s.name)) - s.salt :] for s in program.slots}
    slots = slot_vectors(program, values, salts)
    place = [s.name for s in program.slots].index("count")
    if forged == "count":
        slots[place][0] += 1
    assert slots[place] == [4]
    prepared = Prepared(e.circuit, slots)
    with pytest.raises((InvalidProof, CallerError, TerminalError)):
        check_proof(e.circuit, prove_prepared(prepared))


def test_a_count_moved_to_another_proof_is_refused(evaluated):
    e = evaluated
    found, proof = prove_evaluation(e.circuit, e.model, Samples.from_floats(e.circuit, X, SCORES.argmax(1)))
    assert found == 4
    count_at = [s.name for s in e.circuit.manifest.slots].index("count")
    points = sum(s.columns for s in e.circuit.manifest.slots[:count_at])
    mine, theirs = bytearray(e.proof.raw), proof.raw
    mine[64 * points : 64 * (points + 1)] = theirs[64 * points : 64 * (points + 1)]
    with pytest.raises(InvalidProof, match="public instances"):
        check_proof(e.circuit, e.proof.model_copy(update={"proof": "0x" + mine.hex()}))


def test_an_answer_is_proven_and_checked(store):
    circuit = store.get("scores-inference")
    model = ModelVector.from_floats(circuit, THETA)
    samples = Samples.from_floats(circuit, X)
    found, proof = prove_inference(circuit, model, samples)
    assert np.abs(found.floats - SCORES).max() <= 2**-7
    pure = circuit.committer.pure
    published, batch = pure(model.vector), pure(samples.vector)
    check_inference(circuit, proof, found, model=published, batch=batch)
    other = Answer(found.integers + np.eye(4, 3, dtype=np.int64), found.fractional_bits)
    with pytest.raises(InvalidProof, match="another answer than the claimed"):
        check_inference(circuit, proof, other, model=published)
    with pytest.raises(InvalidProof, match="9 elements, that of scores-inference has 12"):
        check_inference(circuit, proof, found.integers[:3], model=published)
    with pytest.raises(InvalidProof, match="another model"):
        check_inference(circuit, proof, found, model=batch)
    with pytest.raises(InvalidProof, match="another batch"):
        check_inference(circuit, proof, found, model=published, batch=published)


def test_a_model_of_the_training_circuit_is_the_same_vector(store):
    training, forward = store.get("scores"), store.get("scores-inference")
    model = ModelVector.from_floats(training, THETA)
    again = ModelVector.from_vector(forward, model.vector)
    assert training.committer.pure(model.vector) == forward.committer.pure(again.vector)


@pytest.fixture(scope="module")
def steps(store):
    """Two linked steps with momentum, and their proofs."""
    circuit = store.get("scores-momentum")
    trainer = Trainer(circuit, ModelVector.from_floats(circuit, THETA))
    taken = [trainer.step(X, np.eye(3)[LABELS]) for _ in range(2)]
    return circuit, trainer, [trainer.prove(step) for step in taken]


def test_linked_steps_are_checked(steps):
    circuit, trainer, proofs = steps
    pure = circuit.committer.pure
    model, state = check_steps(circuit, proofs, pure(trainer.start.vector))
    assert model == pure(trainer.model.vector)
    assert state == pure(trainer.state.vector)
    assert np.any(trainer.state.parameters)
    middle = trainer.start.minus(trainer.steps[0].vector)
    velocity = pure(trainer.steps[0].slot("new_state"))
    assert check_steps(circuit, proofs[1:], pure(middle.vector), state=velocity) == (model, state)


def test_forged_links_are_refused(steps):
    circuit, trainer, proofs = steps
    pure = circuit.committer.pure
    start, middle = pure(trainer.start.vector), trainer.start.minus(trainer.steps[0].vector)
    with pytest.raises(InvalidProof, match="step 1 is proven at another model than step 0"):
        check_steps(circuit, [proofs[0], proofs[0]], start)
    with pytest.raises(InvalidProof, match="step 0 is proven at another state than the steps start from"):
        check_steps(circuit, proofs[1:], pure(middle.vector))
    with pytest.raises(InvalidProof, match="step 0 is proven at another model than the steps start from"):
        check_steps(circuit, proofs, pure(middle.vector))
    # From the right model, but with the velocity forgotten.
    fresh = Trainer(circuit, middle)
    forgotten = fresh.prove(fresh.step(X, np.eye(3)[LABELS]))
    with pytest.raises(InvalidProof, match="step 1 is proven at another state than step 0 ended at"):
        check_steps(circuit, [proofs[0], forgotten], start)


def test_a_mask_is_committed_with_the_batch(store):
    circuit = store.get("scores-dropping")
    trainer = Trainer(circuit, ModelVector.from_floats(circuit, THETA))
    mask = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    with pytest.raises(CallerError, match=r"needs a mask of shape \(4, 2\)"):
        trainer.step(X, np.eye(3)[LABELS])
    with pytest.raises(CallerError, match="holds 0 and 1"):
        trainer.step(X, np.eye(3)[LABELS], mask * 2)
    step = trainer.step(X, np.eye(3)[LABELS], mask)
    dropped = X * mask * 2
    error = (dropped @ THETA[:6].reshape(3, 2).T + THETA[6:] - np.eye(3)[LABELS]) / 4
    wanted = np.concatenate([(error.T @ dropped).ravel(), error.sum(0)]) / 2
    assert np.abs(step.vector[:9] / 2**10 - wanted).max() < 2**-6
    check_proof(circuit, trainer.prove(step))
