"""Who speaks for a trainer, and what a client demands of its server."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from flower_stage import Stage, record, refused_enrolment, rewritten
from flower_world import ACCOUNTS, NODES, Grid, World, batches, play, sent
from flwr.app import ConfigRecord, Message, RecordDict

from fedproof.errors import InvalidProof
from fedproof.exchange.documents import RoundPlan
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.signing import plan_message, sign
from fedproof.flower.wire import Call, vector_record
from fedproof.rounds import Trainer

pytestmark = pytest.mark.reference

# -- enrolment ----------------------------------------------------------------------------------------


def test_an_enrolment_shown_again_in_another_run(quick: World, tmp_path) -> None:
    kept: list[RecordDict] = []

    def replaying(message, context, call_next):
        if not kept:
            kept.append(copy.deepcopy(call_next(message, context).content))
        return Message(kept[0], reply_to=message)

    first = quick.strategy(tmp_path / "first")
    list(first.configure_train(1, quick.arrays, ConfigRecord(), quick.grid(quick.app(0, replaying))))
    assert not first.refused
    # The same owner and the same first weights, hence the same model id: only the nonce is new.
    assert "shown before" in refused_enrolment(quick, tmp_path / "second", replaying)


def test_an_enrolment_of_another_node(quick: World, tmp_path) -> None:
    def misplaced(message, context, call_next):
        message.metadata.dst_node_id = NODES[2]
        reply = call_next(message, context)
        reply.metadata.__dict__["_src_node_id"] = NODES[0]
        return reply

    assert f"of node {NODES[2]} was sent by node {NODES[0]}" in refused_enrolment(quick, tmp_path, misplaced)


@pytest.mark.parametrize("signature", [b"", b"\1" * 65, ACCOUNTS[1].sign_message])
def test_an_enrolment_that_another_signed(quick: World, tmp_path, signature) -> None:
    def forged(message, context, call_next):
        from fedproof.flower.enrolment import _message

        reply = call_next(message, context)
        own = record(reply)
        own["signature"] = (
            signature
            if isinstance(signature, bytes)
            else bytes(signature(_message(own["statement"])).signature)
        )
        return reply

    assert f"enrolment of {ACCOUNTS[0].address} is signed by" in refused_enrolment(quick, tmp_path, forged)


def test_a_trainer_who_is_not_admitted(quick: World, tmp_path) -> None:
    admitted = [a.address for a in ACCOUNTS[1:]]
    assert "is not admitted" in refused_enrolment(quick, tmp_path, trainers=admitted)


def test_a_trainer_on_two_nodes_is_one_trainer(quick: World, tmp_path) -> None:
    strategy, grid = quick.strategy(tmp_path), quick.grid(quick.app(0), quick.app(0))
    (_, metrics), _ = play(strategy, grid, quick.arrays, 1)
    assert metrics["fedproof-accepted"] == 1
    assert len(RoundFolder(tmp_path / "round1").plan.trainers) == 1


def test_a_trainer_who_comes_back_with_another_dataset(quick: World, tmp_path) -> None:
    strategy = quick.strategy(tmp_path)
    (arrays, _), _ = play(strategy, quick.grid(quick.app(0)), quick.arrays, 1)
    changed = World(quick.training, quick.average, quick.prover, tmp_path)
    vars(changed)["trainers"] = [quick.trainer(0, batches(quick.training, 3, 77))]
    grid = Grid({NODES[3]: changed.grid(changed.app(0)).nodes[NODES[0]]})
    assert list(strategy.configure_train(2, arrays, ConfigRecord(), grid)) == []
    assert "has registered another dataset before" in strategy.refused[0].reason


# -- what a client demands of its server --------------------------------------------------------------


def answer_to(stage: Stage, change: Callable[[Message], None]) -> str:
    message = sent(copy.deepcopy(stage.asked()))
    change(message)
    (reply,) = stage.grid.send_and_receive([message])
    return str(reply.error.reason)


def test_a_client_trains_from_the_model_of_the_plan_only(stage: Stage) -> None:
    def other_model(message: Message) -> None:
        message.content["arrays"] = vector_record(stage.world.genesis.vector + 1)

    assert "the plan names" in answer_to(stage, other_model)


def test_a_client_takes_a_plan_of_the_owner_only(stage: Stage) -> None:
    def signed_by_another(message: Message) -> None:
        own, plan = record(message), stage.plan
        signature = sign(plan_message(plan.id_bytes, plan.number, plan.digest), ACCOUNTS[3])
        own["plan"] = rewritten(own["plan"], RoundPlan, signature=signature)

    assert f"signed by {ACCOUNTS[3].address}" in answer_to(stage, signed_by_another)


def test_a_client_takes_no_plan_with_another_root_for_it(stage: Stage) -> None:
    def exchanged(message: Message) -> None:
        own, plan = record(message), stage.plan
        first, second = plan.trainers
        swapped = first.model_copy(update={"dataset_root": second.dataset_root})
        own["plan"] = rewritten(own["plan"], RoundPlan, trainers=(swapped, second))

    assert "RoundFault" in answer_to(stage, exchanged)


def test_a_client_stays_with_one_model(stage: Stage) -> None:
    def other_id(message: Message) -> None:
        record(message)["model-id"] = bytes(32)

    assert "another model than it began this run with" in answer_to(stage, other_id)


def test_a_client_proves_for_its_own_build_of_the_circuit_only(stage: Stage) -> None:
    def other_key(message: Message) -> None:
        record(message)["key"] = "another"

    assert "compile the same declaration" in answer_to(stage, other_key)


@pytest.mark.parametrize("content", [{}, {"format": 2}, {"format": 1, "phase": "steal"}])
def test_what_is_no_call(content: dict) -> None:
    with pytest.raises(InvalidProof):
        Call.read(RecordDict({"fedproof": ConfigRecord(content)}))


def test_a_message_without_a_call_passes(quick: World) -> None:
    assert Call.read(RecordDict()) is None
    assert isinstance(Trainer, type)
