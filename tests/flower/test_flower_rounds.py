"""Rounds through the mod and the strategy: what is averaged, exactly, and what lies in the folders."""

from __future__ import annotations

import numpy as np
import pytest
from flower_world import ACCOUNTS, NODES, World, play
from flwr.app import ConfigRecord, MetricRecord
from flwr.serverapp.strategy import FedAdam, FedAvg

from fedproof.errors import CallerError
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.verify import verify_round
from fedproof.flower import current_trainer, model_of
from fedproof.flower.wire import read_vector
from fedproof.rounds.aggregator import fold_weights

pytestmark = pytest.mark.reference


def updates(world: World, replies) -> list[np.ndarray]:
    length = world.training.manifest.slot("model").length
    return [read_vector(r.content.array_records["update"], length) for r in replies]


def test_two_rounds_average_exactly_and_leave_folders(quick: World, tmp_path) -> None:
    strategy, grid = quick.strategy(tmp_path), quick.grid(quick.app(0), quick.app(1, steps=2))
    (arrays, metrics), replies = play(strategy, grid, quick.arrays, 1)
    # Weights are dealt out in the order of the plan, that of addresses.
    replies.sort(key=lambda r: ACCOUNTS[NODES.index(r.metadata.src_node_id)].address.lower())
    first, found = model_of(quick.training, arrays), updates(quick, replies)
    steps = [len(r.content.config_records["fedproof"]["proofs"]) for r in replies]
    assert sorted(steps) == [1, 2]
    weights = fold_weights(steps, quick.bits)
    total = sum(w * u for w, u in zip(weights, found, strict=True))
    assert np.array_equal(first.vector - quick.genesis.vector, (total + 2 ** (quick.bits - 1)) >> quick.bits)
    # What clients say of their samples is not what weighs them: both have said a million.
    assert metrics["fedproof-accepted"] == 2
    assert metrics["fedproof-refused"] == 0
    assert metrics["train-loss"] == pytest.approx(0.5)
    (arrays, _), replies = play(strategy, grid, arrays, 2)
    assert not strategy.refused
    assert len(replies) == 2
    folder = RoundFolder(tmp_path / "round2")
    assert np.array_equal(folder.base.model.vector, first.vector)
    assert np.array_equal(folder.model.model.vector, model_of(quick.training, arrays).vector)
    assert [s.samples for s in folder.result.included] == [s.steps * 2 for s in folder.result.included]
    report = verify_round(folder.path, quick.circuits, model_id=folder.plan.id_bytes, prover=quick.prover)
    assert np.array_equal(report.model.vector, folder.model.model.vector)


def test_nodes_enrol_before_they_are_sent_a_model(quick: World, tmp_path) -> None:
    strategy, grid = quick.strategy(tmp_path), quick.honest(2)
    list(strategy.configure_train(1, quick.arrays, ConfigRecord(), grid))
    assert [m.content.config_records["fedproof"]["phase"] for m in grid.asked] == ["enrol"] * 2
    assert not any(m.content.array_records for m in grid.asked)


def test_another_strategy_gets_checked_models_and_proven_weights(quick: World, tmp_path) -> None:
    inner = FedAdam(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1, eta=0.5)
    strategy, grid = quick.strategy(tmp_path, inner), quick.honest(1)
    (arrays, _), _ = play(strategy, grid, quick.arrays, 1)
    moved = model_of(quick.training, arrays)
    assert not np.array_equal(moved.parameters, quick.genesis.parameters)
    # How it came about is nobody's word: the folder holds the round, and no result.
    assert not RoundFolder(tmp_path / "round1").is_finished
    assert RoundFolder(tmp_path / "round1").has_submission(ACCOUNTS[0].address)


def test_evaluation_sees_the_integers(quick: World, tmp_path) -> None:
    inner = FedAvg(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
    strategy, grid = quick.strategy(tmp_path, inner), quick.honest(1)
    config = ConfigRecord()
    replies = grid.send_and_receive(strategy.configure_evaluate(1, quick.arrays, config, grid))
    assert strategy.aggregate_evaluate(1, replies)["sum"] == int(quick.genesis.vector.sum())


def test_a_client_that_fails_is_no_cheat_and_stops_nobody(quick: World, tmp_path) -> None:
    def broken(message, context, call_next):
        if message.content.array_records:
            raise RuntimeError("disk full")
        return call_next(message, context)

    strategy = quick.strategy(tmp_path, on_invalid="fail")
    (arrays, metrics), _ = play(strategy, quick.grid(quick.app(0), quick.app(1, broken)), quick.arrays, 1)
    assert arrays is not None
    assert not strategy.refused
    left_out = RoundFolder(tmp_path / "round1").result.left_out
    assert [(entry.trainer, "disk full" in entry.reason) for entry in left_out] == [
        (ACCOUNTS[1].address, True)
    ]
    assert metrics["fedproof-accepted"] == 1


def test_with_too_few_replies_the_model_stays(quick: World, tmp_path) -> None:
    def without_proofs(message, context, call_next):
        reply = call_next(message, context)
        if message.content.array_records:
            del reply.content["fedproof"]
        return reply

    strategy = quick.strategy(tmp_path, min_trainers=2)
    (arrays, metrics), _ = play(
        strategy, quick.grid(quick.app(0), quick.app(1, without_proofs)), quick.arrays, 1
    )
    assert arrays is None
    assert metrics == MetricRecord({"fedproof-accepted": 1, "fedproof-refused": 1})
    (arrays, _), _ = play(strategy, quick.honest(2), quick.arrays, 2)
    assert arrays is not None, "the next round goes on from the same model"
    assert RoundFolder(tmp_path / "round2").plan.base.round == 0


def test_a_metric_that_cannot_be_averaged_is_left_away(quick: World, tmp_path) -> None:
    def spoiled(message, context, call_next):
        reply = call_next(message, context)
        if message.content.array_records:
            reply.content["metrics"] = MetricRecord({"train-loss": float("nan"), "other": 1})
            reply.content["more"] = MetricRecord({"other": [1, 2]})
        return reply

    strategy = quick.strategy(tmp_path)
    (arrays, metrics), _ = play(strategy, quick.grid(quick.app(0), quick.app(1, spoiled)), quick.arrays, 1)
    assert arrays is not None
    assert set(metrics) == {"fedproof-accepted", "fedproof-refused"}


def test_outside_of_a_round_there_is_none() -> None:
    with pytest.raises(CallerError, match="no proven round"):
        current_trainer()


def test_what_on_invalid_may_be(quick: World, tmp_path) -> None:
    with pytest.raises(CallerError, match="on_invalid is 'ignore'"):
        quick.strategy(tmp_path, on_invalid="ignore")


def test_nobody_admitted_nobody_asked(quick: World, tmp_path) -> None:
    strategy, grid = quick.strategy(tmp_path, trainers=[ACCOUNTS[3].address]), quick.honest(1)
    (arrays, metrics), replies = play(strategy, grid, quick.arrays, 1)
    assert (arrays, metrics, replies) == (None, None, [])
    assert [(r.node, r.trainer) for r in strategy.refused] == [(NODES[0], None)]
    assert "is not admitted" in strategy.refused[0].reason
