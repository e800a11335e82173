"""What a client could send in place of an honest answer, and the one reason for which each is dropped.

The prover here believes every proof: what is refused is refused for what its test names, not for a proof that
would not verify. Real proofs are in test_flower_proofs.py.
"""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from flower_stage import Stage, record, rewritten, scaling, update_of
from flower_world import ACCOUNTS, NODES, Grid, World, play
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord

from fedproof.commitments import Commitment
from fedproof.errors import InvalidProof
from fedproof.exchange.documents import SignedCommitment, Submission
from fedproof.exchange.fields import to_hex, to_text
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.vectors import pack
from fedproof.files import sha256_bytes
from fedproof.flower import VerifiableStrategy, model_of
from fedproof.flower.wire import vector_record

pytestmark = pytest.mark.reference

# -- the update ---------------------------------------------------------------------------------------


def test_the_honest_replies_hold(stage: Stage) -> None:
    for index in range(2):
        stage.demand_accepted(stage.honest(index))


def test_a_scaled_update(stage: Stage) -> None:
    reply = stage.honest()
    reply.content["update"] = vector_record(10 * update_of(stage.world, reply))
    stage.demand_refused(reply, "not the one that its proofs came with")
    stage.demand_accepted(stage.honest())


def with_package(reply: Message, vector: np.ndarray, points: Commitment) -> None:
    """Send another update, and say so in its package."""
    reply.content["update"] = vector_record(vector)
    package = Submission.model_validate_json(record(reply)["submission"]).update
    package = package.model_copy(
        update={"content": sha256_bytes(pack(vector)), "commitment": to_text(points)}
    )
    record(reply)["submission"] = rewritten(record(reply)["submission"], Submission, update=package)


def test_a_scaled_update_whose_package_says_so(stage: Stage) -> None:
    reply = stage.honest()
    vector = 10 * update_of(stage.world, reply)
    with_package(reply, vector, stage.world.training.committer.pure(vector.tolist()))
    stage.demand_refused(reply, "another commitment than was proven")


def test_an_update_off_by_one_under_the_honest_commitment(stage: Stage) -> None:
    reply = stage.honest()
    vector = update_of(stage.world, reply)
    points = stage.world.training.committer.pure(vector.tolist())
    vector[-1] += 1
    with_package(reply, vector, points)
    stage.demand_refused(reply, "does not match")


def test_floats_in_place_of_the_integers(stage: Stage) -> None:
    reply = stage.honest()
    floats = update_of(stage.world, reply) / 2.0**6
    reply.content["update"] = ArrayRecord({"vector": Array(floats)})
    stage.demand_refused(reply, "expected int64")


def test_floats_that_call_themselves_integers(stage: Stage) -> None:
    reply = stage.honest()
    floats = Array(update_of(stage.world, reply) / 2.0**6)
    reply.content["update"] = ArrayRecord({"vector": Array("int64", floats.shape, floats.stype, floats.data)})
    stage.demand_refused(reply, "expected int64")


def test_a_shorter_update_and_one_behind_it(stage: Stage) -> None:
    reply = stage.honest()
    reply.content["update"] = vector_record(update_of(stage.world, reply)[:-1])
    stage.demand_refused(reply, "expected int64")
    honest = stage.honest().content.array_records["update"]["vector"]
    reply.content["update"] = ArrayRecord({"vector": honest, "more": honest})
    stage.demand_refused(reply, "one array 'vector' is expected")


def test_floats_that_the_server_would_average_are_not_looked_at(quick: World, tmp_path) -> None:
    stage = Stage(quick, tmp_path)
    # A second array record, where FedAvg would look for its arrays, reaches nobody.
    reply = stage.honest()
    reply.content["arrays"] = ArrayRecord({"parameters": Array(np.full(8, 1e9))})
    reply.content["metrics"] = MetricRecord({"num-examples": 10**9})
    others = stage.honest(1)
    arrays, _ = stage.strategy.aggregate_train(1, [reply, others])
    updates = [update_of(stage.world, r) for r in (reply, others)]
    moved = model_of(stage.world.training, arrays).vector - stage.world.genesis.vector
    assert np.array_equal(moved, (128 * sum(updates) + 128) // 256)


# -- who, when, for what ------------------------------------------------------------------------------


def test_the_reply_of_another_trainer(stage: Stage) -> None:
    stolen = stage.honest(1)
    reply = stage.honest(0)
    reply.content = stolen.content
    stage.demand_refused(reply, f"is that of {ACCOUNTS[1].address}")


def test_a_reply_of_the_round_before(quick: World, tmp_path) -> None:
    strategy, grid = quick.strategy(tmp_path), quick.honest(2)
    (arrays, _), replies = play(strategy, grid, quick.arrays, 1)
    old = {r.metadata.src_node_id: r for r in replies}
    list(strategy.configure_train(2, arrays, ConfigRecord(), grid))
    refused = strategy._gate.accept(old[NODES[0]])
    assert "in round 1" in refused.reason


def test_a_reply_of_another_run(stage: Stage, quick: World, tmp_path) -> None:
    # Another model id for the same weights: another owner. The trainer has answered there, honestly.
    other = VerifiableStrategy(
        stage.strategy.inner.strategy, (quick.training, quick.average), ACCOUNTS[3], tmp_path / "other",
        prover=quick.prover,
    )  # fmt: skip
    _, replies = play(other, quick.honest(2), quick.arrays, 1)
    old = next(r for r in replies if r.metadata.src_node_id == NODES[0])
    stage.demand_refused(old, "of model 0x")


def test_proofs_for_another_trainer_signed_as_ones_own(stage: Stage) -> None:
    # A thief who has even the batches of his victim, and commits to them himself.
    thief = stage.forger(of=1)
    thief.step(0)
    reply = stage.of(thief)
    record(reply)["proofs"] = record(stage.honest(1))["proofs"]
    stage.demand_refused(reply, "made for the context")


def test_a_node_that_speaks_for_nobody(stage: Stage) -> None:
    reply = stage.honest()
    reply.metadata.__dict__["_src_node_id"] = NODES[3]
    stage.demand_refused(reply, "speaks for no trainer")


def test_a_trainer_counts_once_a_round(stage: Stage) -> None:
    stage.demand_accepted(stage.honest())
    stage.demand_refused(stage.honest(), "has answered in this round before")


def test_a_commitment_signed_by_another(stage: Stage) -> None:
    reply, others = stage.honest(), stage.honest(1)
    foreign = SignedCommitment.model_validate_json(record(others)["commitment"]).signature
    record(reply)["commitment"] = rewritten(record(reply)["commitment"], SignedCommitment, signature=foreign)
    stage.demand_refused(reply, "the commitment is signed by")


def test_a_commitment_for_another_plan(stage: Stage) -> None:
    reply = stage.honest()
    record(reply)["commitment"] = rewritten(
        record(reply)["commitment"], SignedCommitment, plan=to_hex(bytes(32))
    )
    stage.demand_refused(reply, "another plan")


def test_other_steps_than_committed_to(stage: Stage) -> None:
    reply = stage.honest()
    record(reply)["submission"] = rewritten(
        record(reply)["submission"], Submission, nonce=to_hex(secrets.token_bytes(32))
    )
    stage.demand_refused(reply, "other batches or steps were shown")


# -- through the strategy -----------------------------------------------------------------------------


def cheated(world: World) -> Grid:
    return world.grid(world.app(0), world.app(1, scaling), world.app(2))


def test_a_cheat_is_dropped_and_named_and_the_others_are_averaged(quick: World, tmp_path, caplog) -> None:
    strategy = quick.strategy(tmp_path)
    (arrays, metrics), replies = play(strategy, cheated(quick), quick.arrays, 1)
    assert metrics["fedproof-accepted"] == 2
    assert metrics["fedproof-refused"] == 1
    (refused,) = strategy.refused
    assert (refused.round, refused.node, refused.trainer) == (1, NODES[1], ACCOUNTS[1].address)
    assert f"dropped the reply of node {NODES[1]}" in caplog.text
    good = [update_of(quick, r) for r in replies if r.metadata.src_node_id != NODES[1]]
    moved = model_of(quick.training, arrays).vector - quick.genesis.vector
    assert np.array_equal(moved, (128 * sum(good) + 128) // 256)
    folder = RoundFolder(tmp_path / "round1")
    assert [(e.trainer, e.reason) for e in folder.result.left_out] == [(ACCOUNTS[1].address, refused.reason)]


def test_with_fail_a_cheat_ends_the_run(quick: World, tmp_path) -> None:
    strategy = quick.strategy(tmp_path, on_invalid="fail")
    with pytest.raises(InvalidProof, match=f"node {NODES[1]}.*not the one") as caught:
        play(strategy, cheated(quick), quick.arrays, 1)
    assert caught.value.exit_code == 3
