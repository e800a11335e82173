"""Challenges and contexts, Python against the contracts: a proof is bound to its round and to its trainer."""

from __future__ import annotations

import pytest
from chain_world import World, point
from hypothesis import given, settings
from hypothesis import strategies as st

from fedproof.chain.accounts import devnet_account
from fedproof.chain.client import ChainClient
from fedproof.chain.deploy import VerifierSpec
from fedproof.chain.digests import commit_digest, finalize_context, step_context
from fedproof.chain.reverts import ClaimRejected, ContractRejected
from fedproof.chain.solidity import compile_project, compile_verifier
from fedproof.commitments import INFINITY, NO_CONTEXT, Point, challenge
from fedproof.errors import InvalidProof

pytestmark = pytest.mark.evm

TRAINER = "0x00000000000000000000000000000000000000AA"
POINTS = [*(Point(*point(scalar)) for scalar in (1, 2, 3, 99)), INFINITY]
COUNT, HASHED, TRAILING = 5, 4, 64
PINNED = 42

CHECKING = """
pragma solidity ^0.8.0;
contract Halo2Verifier {
    function verifyProof(bytes calldata proof, uint256[] calldata instances) external pure returns (bool) {
        return instances.length == 2 && instances[0] == 42
            && instances[1] == uint256(bytes32(proof[proof.length - 32:]));
    }
}
"""
"""Accepts a proof whose last word is the challenge it is called with."""


def a_proof(points: list[Point], last: int = 0) -> bytes:
    return b"".join(p.to_bytes() for p in points) + bytes(TRAILING - 32) + last.to_bytes(32, "big")


def an_adapter(client: ChainClient, challenge_points: int):
    spec = VerifierSpec(
        circuit="challenged",
        source=CHECKING,
        instances=[PINNED],
        commitment_count=COUNT,
        proof_bytes=64 * COUNT + TRAILING,
        development_srs=True,
        srs_sha256="ab" * 32,
        challenge_points=challenge_points,
    )
    generated = client.deploy(compile_verifier(CHECKING)).contract
    kind, arguments = spec.adapter_arguments(str(generated))
    artefact = compile_project()[kind]
    return client.at(str(client.deploy(artefact, *arguments).contract), artefact.abi)


def test_the_adapter_computes_the_challenge_that_python_does(world: World):
    client = world.chains.l2
    adapter = an_adapter(client, HASHED)
    assert client.call(adapter.functions.challengePoints()) == HASHED

    @settings(max_examples=15, deadline=None)
    @given(st.binary(min_size=32, max_size=32), st.lists(st.sampled_from(POINTS), min_size=5, max_size=5))
    def agree(context, points):
        expected = challenge(context, [tuple(points[:2]), *((p,) for p in points[2:HASHED])])
        assert client.call(adapter.functions.challengeOf(context, a_proof(points))) == expected
        found = client.call(adapter.functions.verify(context, a_proof(points, expected), []))
        assert [tuple(p) for p in found] == points

    agree()


def test_a_proof_of_another_context_is_refused(world: World):
    client = world.chains.l2
    adapter = an_adapter(client, HASHED)
    mine = step_context(bytes(32), 1, TRAINER)
    proof = a_proof(POINTS, challenge(mine, [(p,) for p in POINTS[:HASHED]]))
    client.call(adapter.functions.verify(mine, proof, []))
    others = [
        step_context(bytes(32), 2, TRAINER),
        step_context(bytes(32), 1, devnet_account(1).address),
        step_context(b"\1" * 32, 1, TRAINER),
        finalize_context(bytes(32), 1),
        NO_CONTEXT,
    ]
    for other in others:
        with pytest.raises(InvalidProof, match="ProofRejected"):
            client.call(adapter.functions.verify(other, proof, []))


def test_an_adapter_whose_challenge_covers_the_late_vector_cannot_be_deployed(world: World):
    with pytest.raises(ContractRejected, match="InvalidChallenge"):
        an_adapter(world.chains.l2, COUNT)


def test_rounds_of_circuits_with_a_challenge(world: World):
    """The hub passes the contexts that Python computes: two whole rounds, each proof bound to its round."""
    game = world.game(challenged=True)
    assert [game.play()[0] for _ in range(2)] == [1, 2]


def test_an_average_for_another_context_is_refused(world: World):
    game = world.game(challenged=True)
    number, updates = game.submit_all(1)
    contexts = [
        finalize_context(game.model_id, number + 1),
        finalize_context(bytes(32), number),
        step_context(game.model_id, number, game.trainers[0].address),
    ]
    for other in contexts:
        proof, _ = game.aggregate(number, updates, other)
        with pytest.raises(ClaimRejected, match="ProofRejected"):
            game.hub.finalize(game.model_id, number, proof)
    proof, _ = game.aggregate(number, updates)
    game.hub.finalize(game.model_id, number, proof)


def test_steps_proven_for_another_trainer_or_round_are_refused(world: World):
    game = world.game(challenged=True)
    hub, model_id, (victim, thief) = game.hub, game.model_id, game.trainers
    hub.acting_as(thief).register_dataset(model_id, game.tree(victim).root)
    number, _ = hub.open_round(model_id)
    prepared = {who: game.prepare(victim, 1, number + later) for who, later in (("now", 0), ("later", 1))}
    shown, revealed, _ = prepared["now"]
    for person in (victim, thief):
        digest = commit_digest(model_id, number, person.address, bytes(32), revealed)
        hub.acting_as(person).commit(model_id, number, digest)
    with pytest.raises(ClaimRejected, match="ProofRejected"):
        hub.acting_as(thief).submit(model_id, number, bytes(32), shown)
    with pytest.raises(ClaimRejected, match="ProofRejected"):
        hub.acting_as(victim).submit(model_id, number, bytes(32), prepared["later"][0])
    hub.acting_as(victim).submit(model_id, number, bytes(32), shown)


def test_contexts_differ_in_model_round_and_trainer():
    known = {
        step_context(model, number, who)
        for model in (bytes(32), b"\1" * 32)
        for number in (1, 2)
        for who in (TRAINER, devnet_account(1).address, "0x" + "00" * 20)
    }
    assert len(known) == 12
    assert finalize_context(bytes(32), 2) in known
