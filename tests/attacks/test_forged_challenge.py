"""A prover that knows the challenge before it commits: ezkl accepts what it proves, rounds do not.

The circuit is a real one. Its equations are one sum with powers of the challenge; whoever chooses the
challenge first solves for errors that cancel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from field_model import residual, tensors

from fedproof.circuits.store import CircuitStore
from fedproof.circuits.witness import random_salt
from fedproof.commitments import NO_CONTEXT, SCALAR_MODULUS, challenge
from fedproof.errors import InvalidProof
from fedproof.provers import CpuProver, WitnessRejected
from fedproof.rounds import Batch, ModelVector, Proof, Trainer, check_proof

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "circuits"))
from tiny_project import TRAINING, tiny_project

pytestmark = pytest.mark.prove

P = SCALAR_MODULUS
CHOSEN = 123456789
CONTEXT = bytes(range(32))


@pytest.fixture(scope="module")
def circuit(tmp_path_factory):
    """The tiny circuit with weights of so many bits that its step is exact: an equation, no division."""
    project = tiny_project(tmp_path_factory.mktemp("tiny"))
    (project.circuits / "tiny.toml").write_text(TRAINING.replace("weights = 6", "weights = 16"))
    return CircuitStore(project).get("tiny")


@pytest.fixture(scope="module")
def step(circuit):
    """An honest step."""
    trainer = Trainer(circuit, ModelVector.from_floats(circuit, np.array([0.5, -0.25, 0.125])))
    return trainer.step(
        Batch.from_floats(circuit, np.array([[0.5, -1], [1, 0.25]]), np.array([[0.5], [0.25]]))
    )


def cancelling(circuit, step, r):
    """The vectors of the step, two of its elements changed so that the equations' sum at ``r`` stays zero.

    Steps are in no range check: any number is one, if the equation that ties it to the gradient is met.
    """
    program = circuit.program
    node = program.nodes[next(s for s in program.slots if s.name == "step").nodes[0]]
    shifts, given = program.shifts(), {}
    for slot, vector in zip(program.slots, step.slots, strict=True):
        start = 0
        for i in slot.nodes:
            size = program.nodes[i].size
            given[i] = [v - shifts.get(i, 0) for v in vector[start : start + size]]
            start += size
    assert residual(program, tensors(program, given), r) == 0

    def sum_with(first, second):
        moved = dict(given)
        moved[node.id] = [given[node.id][0] + first, given[node.id][1] + second]
        return residual(program, tensors(program, moved), r)

    # The sum is linear in both: its values at (1, 0) and (0, 1) are the weights.
    a, b = sum_with(1, 0), sum_with(0, 1)
    changes = (1, -a * pow(b, -1, P) % P)
    assert sum_with(*changes) == 0
    at = [s.name for s in program.slots].index("step")
    forged = [list(v) for v in step.slots]
    for i, change in enumerate(changes):
        forged[at][i] = (forged[at][i] + change) % P
    assert forged[at] != step.slots[at]
    return forged


def proof_of(circuit, slots, late, context=NO_CONTEXT) -> Proof:
    run = CpuProver().prove(circuit.folder, circuit.srs.path, [*slots, [late]])
    assert CpuProver().verify(circuit.folder, circuit.srs.path, run.proof, run.instances)
    return Proof.of(circuit, run, context)


def drawn(circuit, slots, context=NO_CONTEXT):
    return challenge(context, [circuit.committer.full(slot) for slot in slots])


def test_an_honest_step_is_accepted_with_its_challenge(circuit, step):
    for context in (NO_CONTEXT, CONTEXT):
        proof = proof_of(circuit, step.slots, drawn(circuit, step.slots, context), context)
        check_proof(circuit, proof, context=context)


def test_a_challenge_known_before_committing_forges_any_step_and_is_refused(circuit, step):
    """ezkl accepts a false step: only the instance, which is no hash of the commitments, tells it apart."""
    forged = cancelling(circuit, step, CHOSEN)
    proof = proof_of(circuit, forged, CHOSEN)
    with pytest.raises(InvalidProof, match="public instances"):
        check_proof(circuit, proof)
    # Saying that the instance is the hash does not make it so.
    claimed = proof.model_copy(update={"instances": (proof.instances[0], drawn(circuit, forged))})
    with pytest.raises(InvalidProof, match="does not verify"):
        check_proof(circuit, claimed)


def test_errors_that_cancel_at_the_honest_challenge_do_not_at_their_own(circuit, step):
    """Committing to the false step moves the challenge."""
    old = drawn(circuit, step.slots)
    forged = cancelling(circuit, step, old)
    new = drawn(circuit, forged)
    assert new != old
    with pytest.raises(WitnessRejected, match="equations"):
        proof_of(circuit, forged, new)
    with pytest.raises(InvalidProof, match="public instances"):
        check_proof(circuit, proof_of(circuit, forged, old))


def test_true_values_at_another_challenge_are_refused(circuit, step):
    """The honest step at r = 0 and 1, where powers say nothing, and at that of another context."""
    for late in (0, 1, drawn(circuit, step.slots, CONTEXT)):
        proof = proof_of(circuit, step.slots, late)
        with pytest.raises(InvalidProof, match="public instances"):
            check_proof(circuit, proof)


def test_a_proof_of_one_context_is_none_of_another(circuit, step):
    proof = proof_of(circuit, step.slots, drawn(circuit, step.slots, CONTEXT), CONTEXT)
    with pytest.raises(InvalidProof, match="made for the context"):
        check_proof(circuit, proof, context=NO_CONTEXT)
    renamed = proof.model_copy(update={"context": NO_CONTEXT.hex()})
    with pytest.raises(InvalidProof, match="public instances"):
        check_proof(circuit, renamed, context=NO_CONTEXT)


def test_a_late_vector_of_another_proof_is_refused(circuit, step):
    """The challenge is not over it, but the transcript is."""
    late = drawn(circuit, step.slots)
    proof = proof_of(circuit, step.slots, late)
    other = circuit.committer.full([late + 1])[0].to_bytes()
    at = 64 * (circuit.manifest.challenge_points)
    assert proof.raw[at : at + 64] == circuit.committer.full([late])[0].to_bytes()
    forged = proof.raw[:at] + other + proof.raw[at + 64 :]
    with pytest.raises(InvalidProof, match="does not verify"):
        check_proof(circuit, proof.model_copy(update={"proof": forged.hex()}))


def test_a_salt_moves_the_challenge(circuit, step):
    """Whoever tries salts draws challenges anew: each is right by chance, one in 2**200."""
    at = [s.name for s in circuit.program.slots].index("advice")
    found = set()
    for _ in range(5):
        slots = [list(v) for v in step.slots]
        slots[at][-1] = random_salt(1)[0]
        found.add(drawn(circuit, slots))
    assert len(found) == 5
