"""A round with real proofs, and replies whose proofs are not what they have to be."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from flower_stage import Stage, record
from flower_world import World

from fedproof.exchange.verify import verify_round
from fedproof.flower import model_of
from fedproof.rounds import Proof

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def proven(world: World, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(world, tmp_path_factory.mktemp("proven"))


def test_a_round_with_real_proofs(proven: Stage) -> None:
    # Forgeries first, at the same open round: none of them gets in the way of the honest reply.
    reply = proven.honest()
    (raw,) = record(reply)["proofs"]
    proof = Proof.model_validate_json(raw)
    flipped = bytearray(proof.raw)
    flipped[-1] ^= 1
    changed = proof.model_copy(update={"proof": "0x" + flipped.hex()})
    record(reply)["proofs"] = [changed.model_dump_json().encode()]
    proven.demand_refused(reply, "proof: the proof does not verify")

    reply, other = proven.honest(), copy.deepcopy(record(proven.honest(1)))
    record(reply)["proofs"] = other["proofs"]
    proven.demand_refused(reply, "step 0: the proof was made for the context")

    foreign = Proof.model_validate_json(other["proofs"][0]).model_copy(update={"context": proof.context})
    record(reply)["proofs"] = [foreign.model_dump_json().encode()]
    proven.demand_refused(reply, "step 0: the public instances are")

    path, world = proven.gate.folder.path, proven.world
    arrays, metrics = proven.strategy.aggregate_train(1, [proven.honest(0), proven.honest(1)])
    assert arrays is not None
    assert metrics["fedproof-accepted"] == 2
    # What the server leaves, others verify, down to every proof.
    report = verify_round(path, world.circuits, model_id=proven.plan.id_bytes, prover=world.prover)
    assert report.proofs == 3
    assert np.array_equal(report.model.vector, model_of(world.training, arrays).vector)
