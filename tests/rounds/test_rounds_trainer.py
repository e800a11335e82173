"""Exact steps, proofs as files, what a trainer keeps between two runs. Proofs are noted here, not made."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from tiny_circuits import PARAMETERS, NotingProver, sample_data

from fedproof.chain.digests import commit_digest
from fedproof.chain.hub import HubClient
from fedproof.circuits.store import Circuit
from fedproof.commitments import NO_CONTEXT, InvalidPoint, challenge
from fedproof.errors import CallerError, InvalidProof, TerminalError
from fedproof.rounds import Batch, Dataset, ModelVector, Proof, Trainer, check_proof
from fedproof.rounds.session import TrainerRound, TrainerSession
from fedproof.rounds.trainer import prove_step
from fedproof.rounds.updates import read_update

pytestmark = pytest.mark.reference

ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
MODEL_ID = bytes(range(32))


@pytest.fixture
def start(training: Circuit) -> ModelVector:
    return ModelVector.from_floats(training, np.linspace(-0.5, 0.5, PARAMETERS))


@pytest.fixture
def prover(training: Circuit) -> NotingProver:
    return NotingProver(training)


def test_steps_chain_and_add_up_to_the_update(training: Circuit, start: ModelVector) -> None:
    trainer = Trainer(training, start)
    steps = [trainer.step(*sample_data(2, seed)) for seed in range(3)]
    assert np.array_equal(trainer.update, -sum(s.vector for s in steps))
    model = start
    for step in steps:
        assert step.slot("model") == model.vector.tolist()
        model = model.minus(step.vector)
    assert np.array_equal(trainer.model.vector, model.vector)
    trainer.restart(start)
    assert trainer.steps == []
    assert not trainer.update.any()


def test_a_step_is_the_gradient_step_but_for_rounding(training: Circuit, start: ModelVector) -> None:
    x, y = sample_data(2)
    step = Trainer(training, start).step(x, y)
    weights, bias = start.floats[:6].reshape(2, 3), start.floats[6:]
    error = (x @ weights.T + bias - y) / 2
    exact = np.concatenate([(error.T @ x).ravel(), error.sum(0)]) / 4
    assert np.abs(step.vector[:PARAMETERS] / 64 - exact).max() < 0.1


def test_equal_steps_have_different_commitments(training: Circuit, start: ModelVector) -> None:
    batch = Batch.from_floats(training, *sample_data(2))
    one, two = (Trainer(training, start).step(batch) for _ in range(2))
    assert np.array_equal(one.vector[:PARAMETERS], two.vector[:PARAMETERS])
    assert one.commitment("step") != two.commitment("step")
    assert one.commitment("model") == two.commitment("model")
    assert one.commitment("batch") == two.commitment("batch")


def test_a_value_beyond_its_range_is_named(training: Circuit) -> None:
    far = ModelVector.from_floats(training, np.full(PARAMETERS, 30.0))
    with pytest.raises(CallerError, match=r"element .* outside .*"):
        Trainer(training, far).step(np.full((2, 3), 7.0), np.full((2, 2), -15.0))


def test_a_proof_carries_the_commitments(
    training: Circuit, start: ModelVector, prover: NotingProver, tmp_path: Path
) -> None:
    trainer = Trainer(training, start, prover)
    step = trainer.step(*sample_data(2))
    proof = trainer.prove(step)
    proof.save(tmp_path / "proof.json")
    again = Proof.load(tmp_path / "proof.json")
    assert again == proof
    names = ("model", "batch", "step", "advice")
    committed = [step.commitment(name) for name in names]
    late = [challenge(NO_CONTEXT, committed)]
    assert check_proof(training, again, prover) == [*committed, training.committer.full(late)]
    assert prover.asked == [[*step.slots, late]]
    assert again.instances == (*training.manifest.instances, *late)


@pytest.mark.parametrize("slot", ["model", "batch", "step", "advice"])
def test_a_prover_that_proves_another_vector_is_noticed(
    training: Circuit, start: ModelVector, prover: NotingProver, slot: str
) -> None:
    step = Trainer(training, start).step(*sample_data(2))
    place = [s.name for s in training.manifest.slots].index(slot)
    others = [list(vector) for vector in step.slots]
    others[place][0] += 1
    prover.prove = lambda folder, srs, slots: NotingProver.prove(  # type: ignore[method-assign]
        prover, folder, srs, [*others, slots[-1]]
    )
    with pytest.raises(InvalidProof, match=f"another {slot} vector"):
        prove_step(step, prover)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another circuit": ({"key": "other"}, "of circuit tiny other"),
    "a shorter proof": ({"proof": "0x" + "00" * 511}, "511 bytes"),
    "a longer proof": ({"proof": "0x" + "00" * 513}, "513 bytes"),
    "other instances": ({"instances": (1,)}, "public instances"),
    "no instances": ({"instances": ()}, "public instances"),
    "another context": ({"context": "11" * 32}, "public instances"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_proof_must_be_is_checked_before_it_is_verified(
    training: Circuit, start: ModelVector, prover: NotingProver, wrong: str
) -> None:
    trainer = Trainer(training, start, prover)
    proof = trainer.prove(trainer.step(*sample_data(2)))
    changes, words = WRONG[wrong]
    with pytest.raises(InvalidProof, match=words):
        check_proof(training, proof.model_copy(update=changes), prover)


def test_a_proof_of_points_off_the_curve_and_one_that_does_not_verify(
    training: Circuit, start: ModelVector, prover: NotingProver
) -> None:
    trainer = Trainer(training, start, prover)
    proof = trainer.prove(trainer.step(*sample_data(2)))
    raw = bytearray(proof.raw)
    raw[100] ^= 1
    with pytest.raises(InvalidPoint):
        check_proof(training, proof.model_copy(update={"proof": raw.hex()}), prover)
    prover.valid = False
    with pytest.raises(InvalidProof, match="does not verify"):
        check_proof(training, proof, prover)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', '{"proof": "0xzz"}'])
def test_a_file_that_is_no_proof(tmp_path: Path, text: str) -> None:
    (tmp_path / "proof.json").write_text(text)
    with pytest.raises(CallerError, match="is not a proof file"):
        Proof.load(tmp_path / "proof.json")
    with pytest.raises(CallerError, match="no proof file"):
        Proof.load(tmp_path / "missing.json")
    with pytest.raises(CallerError, match="cannot read"):
        Proof.load(tmp_path)


# -- what a session keeps ------------------------------------------------------------------------------


@pytest.fixture
def session(training: Circuit, prover: NotingProver, tmp_path: Path) -> TrainerSession:
    hub = cast(HubClient, SimpleNamespace(client=SimpleNamespace(account=SimpleNamespace(address=ADDRESS))))
    dataset = Dataset.from_floats(training, *sample_data(6))
    return TrainerSession(training, dataset, hub, MODEL_ID, tmp_path / "trainer", prover)


def again(session: TrainerSession, prover: NotingProver) -> TrainerSession:
    return TrainerSession(
        session.circuit, session.dataset, session.hub, session.model_id, session.folder, prover
    )


def train(session: TrainerSession, start: ModelVector, number: int = 1) -> TrainerRound:
    return session.train(number, start, 2)


def test_a_session_goes_on_where_it_stopped(
    session: TrainerSession, start: ModelVector, prover: NotingProver
) -> None:
    work = train(session, start)
    first = session.prove(1, work, 0)
    second = again(session, prover)
    kept = train(second, start)
    assert kept.nonce == work.nonce
    assert [s.slots for s in kept.steps] == [s.slots for s in work.steps]
    assert second.digest(1, kept) == session.digest(1, work)
    assert second.prove(1, kept, 0) == first
    assert len(prover.asked) == 1
    second.prove(1, kept, 1)
    assert len(prover.asked) == 2


def test_a_digest_lists_batch_and_step_of_each_step(session: TrainerSession, start: ModelVector) -> None:
    work = train(session, start)
    points = [p for s in work.steps for name in ("batch", "step") for p in s.commitment(name)]
    assert len(points) == 4
    assert session.digest(1, work) == commit_digest(MODEL_ID, 1, ADDRESS, work.nonce, points)
    assert session.digest(2, work) != session.digest(1, work)


def test_rounds_take_the_next_batches_in_turn(session: TrainerSession, start: ModelVector) -> None:
    used = [train(session, start, number).batches for number in (1, 2, 3, 4)]
    assert used == [[0, 1], [2, 0], [1, 2], [0, 1]]


@pytest.mark.parametrize("steps", [0, -1, 4])
def test_more_steps_than_batches(session: TrainerSession, start: ModelVector, steps: int) -> None:
    with pytest.raises(CallerError, match=f"{steps} steps a round, but the dataset has 3 batches"):
        session.train(1, start, steps)


def test_a_proof_of_something_else_is_made_again(
    session: TrainerSession, start: ModelVector, prover: NotingProver
) -> None:
    work = train(session, start)
    session.prove(1, work, 1)
    path = session.folder / "round1" / "step1.proof.json"
    good = path.read_text()
    for damaged in ("", good[: len(good) // 2], good.replace("key-of-tiny", "other")):
        path.write_text(damaged)
        session.prove(1, work, 1)
        assert path.read_text() == good
    assert len(prover.asked) == 4


def test_an_unproven_step_is_not_submitted(session: TrainerSession, start: ModelVector) -> None:
    work = train(session, start)
    session.hub.submissions = lambda *_: []  # type: ignore[method-assign]
    with pytest.raises(CallerError, match="0 of 2 steps are proven"):
        session.submit(1, work)


def test_what_is_kept_is_private_and_damage_is_named(session: TrainerSession, start: ModelVector) -> None:
    train(session, start)
    path = session.folder / "round1" / "steps.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    good = json.loads(path.read_text())
    for damaged in ("", "{}", "[]", json.dumps(good | {"nonce": "xyz"}), json.dumps(good | {"steps": 1})):
        path.write_text(damaged)
        with pytest.raises(TerminalError, match="is damaged"):
            train(session, start)
    path.write_text(json.dumps(good | {"key": "other"}))
    with pytest.raises(TerminalError, match="another build"):
        train(session, start)


def test_an_update_is_published_and_read(session: TrainerSession, start: ModelVector, tmp_path: Path) -> None:
    work = train(session, start)
    path = session.publish_update(1, work)
    assert np.array_equal(read_update(path), work.update)
    for text in (
        "",
        "{}",
        "[1]",
        '{"update": ["a"]}',
        '{"update": [1e400]}',
        '{"update": [99999999999999999999]}',
    ):
        path.write_text(text)
        with pytest.raises(CallerError, match="is not an update"):
            read_update(path)
    with pytest.raises(CallerError, match="is not an update"):
        read_update(tmp_path / "missing")


def test_a_trainer_needs_an_account(training: Circuit, session: TrainerSession, tmp_path: Path) -> None:
    hub = cast(HubClient, SimpleNamespace(client=SimpleNamespace(account=None)))
    with pytest.raises(CallerError, match="needs an account"):
        TrainerSession(training, session.dataset, hub, MODEL_ID, tmp_path)
