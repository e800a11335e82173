"""Steps and batches that do not count, and records that are no answer: each dropped for its reason.

The prover here believes every proof: what is refused is refused for what its test names, not for a proof that
would not verify. Real proofs are in test_flower_proofs.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from flower_stage import Stage, record
from flower_world import batches

from fedproof.flower import LocalRound
from fedproof.rounds.dataset import Batch

pytestmark = pytest.mark.reference

# -- steps and batches --------------------------------------------------------------------------------


def test_steps_from_another_model(stage: Stage) -> None:
    stale = stage.world.genesis.plus(np.ones_like(stage.world.genesis.vector))
    played = LocalRound(stage.world.locals[0], 1, stale)
    played.step(0)
    stage.demand_refused(stage.of(played), "step 0 is proven at another model")


def test_a_chain_with_a_step_left_out(stage: Stage) -> None:
    played = LocalRound(stage.world.locals[0], 1, stage.world.genesis)
    played.step(0)
    played.step(1)
    del played.trainer.steps[0], played.used[0]
    stage.demand_refused(stage.of(played), "step 0 is proven at another model")


def test_a_batch_outside_the_dataset(stage: Stage) -> None:
    # The path is of a batch that is there, the step is not on it.
    local = stage.world.locals[0]
    played = LocalRound(local, 1, stage.world.genesis)
    played.trainer.step(batches(local.circuit, 1, 99).batches[0])
    played.used.append(0)
    stage.demand_refused(stage.of(played), "batch of step 0 is not in the dataset")


def test_the_same_data_under_a_fresh_salt(stage: Stage) -> None:
    local = stage.world.locals[0]
    known = local.dataset.batches[0]
    again = Batch(known.x, known.y, (known.salt[0] + 1,), known.shift)
    played = LocalRound(local, 1, stage.world.genesis)
    played.trainer.step(again)
    played.used.append(0)
    stage.demand_refused(stage.of(played), "batch of step 0 is not in the dataset")


def test_a_batch_twice_in_a_round(stage: Stage) -> None:
    played = LocalRound(stage.world.locals[0], 1, stage.world.genesis)
    for _ in range(2):
        played.trainer.step(played.batch(0))
        played.used.append(0)
    stage.demand_refused(stage.of(played), "batch of step 1 was used in this round before")


def test_a_step_that_counted_before(stage: Stage) -> None:
    stage.demand_accepted(stage.honest())
    stage.gate.accepted.clear()
    stage.demand_refused(stage.honest(), "step 0 counted before")


def test_more_steps_than_an_average_holds(stage: Stage) -> None:
    played = LocalRound(stage.world.locals[0], 1, stage.world.genesis)
    for index in range(3):
        played.step(index)
    stage.demand_refused(stage.of(played), "more than 2 items")


def test_fewer_proofs_than_paths(stage: Stage) -> None:
    played = LocalRound(stage.world.locals[0], 1, stage.world.genesis)
    played.step(0)
    played.step(1)
    reply = stage.of(played)
    record(reply)["proofs"] = record(reply)["proofs"][:1]
    stage.demand_refused(reply, "1 proofs and 2 paths")


# -- what is no answer at all -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("format", 2, "has format 2"),
        ("format", True, "is no int"),
        ("commitment", b"{}", "SignedCommitment is none"),
        ("commitment", b"\xff\xfe", "SignedCommitment is none"),
        ("commitment", "text", "is no bytes"),
        ("submission", b"[" * 100_000, "Submission is none"),
        ("submission", b" " * 10_000_000, "of 10000000 bytes is none"),
        ("proofs", b"", "no list of bytes"),
        ("proofs", [], "0 proofs and 1 paths"),
        ("proofs", [b"{}"], "Proof is none"),
        ("proofs", [b" " * 10_000_000], "more than 2 items of"),
        ("proofs", [1, 2], "no list of bytes"),
    ],
)
def test_malformed_records(stage: Stage, name: str, value, reason: str) -> None:
    reply = stage.honest()
    record(reply)[name] = value
    stage.demand_refused(reply, reason)


@pytest.mark.parametrize(("name", "reason"), [("fedproof", "carries no proofs"), ("update", "no update")])
def test_a_reply_without_proofs_or_update(stage: Stage, name: str, reason: str) -> None:
    reply = stage.honest()
    del reply.content[name]
    stage.demand_refused(reply, reason)
