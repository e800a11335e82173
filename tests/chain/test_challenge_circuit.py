"""Attacks on a real circuit with a challenge: proofs by ezkl, its generated verifier, our adapter."""

from __future__ import annotations

import pytest
from chain_world import World
from challenged_circuit import LOGROWS, ChallengedCircuit, challenged_circuit

from fedproof.chain.deploy import VerifierSpec
from fedproof.chain.digests import step_context
from fedproof.chain.solidity import compile_project, compile_verifier
from fedproof.commitments import NO_CONTEXT, SCALAR_MODULUS, Committer, challenge, read_commitments
from fedproof.errors import InvalidProof
from fedproof.srs import SrsStore

pytestmark = pytest.mark.e2e

MINE = step_context(bytes(32), 1, "0x" + "00" * 19 + "aa")
A, B = [3, -4, 5], [7, 8, -9]
TRUE = [21, -32, -45]


class Prover:
    """The circuit with its committer, and its adapter on a devnet."""

    def __init__(self, world: World, circuit: ChallengedCircuit) -> None:
        self.client, self.circuit = world.chains.l2, circuit
        self.committer = Committer(circuit.srs, LOGROWS)
        self.length = len(self.prove(TRUE, 5))
        self.adapter = self._deploy([0])

    def _deploy(self, pinned: list[int]):
        spec = VerifierSpec(
            circuit="challenged",
            source=self.circuit.source,
            instances=pinned,
            commitment_count=4,
            proof_bytes=self.length,
            development_srs=True,
            srs_sha256="ab" * 32,
            challenge_points=3,
        )
        generated = self.client.deploy(compile_verifier(spec.source)).contract
        kind, arguments = spec.adapter_arguments(str(generated))
        artefact = compile_project()[kind]
        return self.client.at(str(self.client.deploy(artefact, *arguments).contract), artefact.abi)

    def prove(self, products: list[int], late: int) -> bytes:
        return self.circuit.prove([A, B, products, [late]])[0]

    def challenge(self, context: bytes, products: list[int]) -> int:
        return challenge(context, [self.committer.full(vector) for vector in (A, B, products)])

    def verify(self, context: bytes, proof: bytes) -> list[tuple[int, int]]:
        return [tuple(p) for p in self.client.call(self.adapter.functions.verify(context, proof, []))]

    def refused(self, context: bytes, proof: bytes) -> None:
        with pytest.raises(InvalidProof, match="ProofRejected"):
            self.verify(context, proof)


@pytest.fixture(scope="module")
def prover(world: World, tmp_path_factory: pytest.TempPathFactory) -> Prover:
    folder = tmp_path_factory.mktemp("challenged")
    srs = SrsStore(folder).ensure_development(LOGROWS)
    return Prover(world, challenged_circuit(folder, srs.path))


def test_true_products_are_accepted_in_their_context_alone(prover: Prover):
    drawn = prover.challenge(MINE, TRUE)
    proof = prover.prove(TRUE, drawn)
    found = prover.verify(MINE, proof)
    expected = [prover.committer.full(vector) for vector in (A, B, TRUE, [drawn])]
    assert found == [tuple(point) for (point,) in expected]
    assert prover.client.call(prover.adapter.functions.challengeOf(MINE, proof)) == drawn
    for other in (step_context(bytes(32), 2, "0x" + "00" * 19 + "aa"), NO_CONTEXT):
        prover.refused(other, proof)
        prover.verify(other, prover.prove(TRUE, prover.challenge(other, TRUE)))


def test_true_products_at_a_challenge_of_ones_own_are_refused(prover: Prover):
    for late in (0, 1, prover.challenge(MINE, TRUE) + 1):
        prover.refused(MINE, prover.prove(TRUE, late))


def test_false_products_that_are_right_at_a_chosen_point_are_refused(prover: Prover):
    """Two false products whose errors cancel at a point chosen before: ezkl itself accepts them there."""
    chosen = 1234567
    false = [TRUE[0] - chosen, TRUE[1] + 1, TRUE[2]]
    proof = prover.prove(false, chosen)
    prover.refused(MINE, proof)
    # the same for errors that cancel at the challenge of the true products
    chosen = prover.challenge(MINE, TRUE)
    false = [(TRUE[0] - chosen) % SCALAR_MODULUS, TRUE[1] + 1, TRUE[2]]
    prover.refused(MINE, prover.prove(false, chosen))
    # at their own challenge the errors do not cancel, and another instance than 0 is not accepted
    prover.refused(MINE, prover.prove(false, prover.challenge(MINE, false)))


def test_a_late_vector_exchanged_after_the_proof_is_refused(prover: Prover):
    """The challenge is not over it, but the transcript is."""
    drawn = prover.challenge(MINE, TRUE)
    proof, other = prover.prove(TRUE, drawn), prover.prove(TRUE, drawn + 1)
    late = slice(64 * 3, 64 * 4)
    forged = proof[: late.start] + other[late] + proof[late.stop :]
    assert read_commitments(forged, [1] * 4)[3] == read_commitments(other, [1] * 4)[3]
    prover.refused(MINE, forged)
    prover.verify(MINE, proof)
