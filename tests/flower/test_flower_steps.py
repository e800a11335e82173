"""Steps and batches that do not count, and records that are no answer: each dropped for its reason.

The prover here believes every proof: what is refused is refused for what its test names, not for a proof that
would not verify. Real proofs are in test_flower_proofs.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from flower_stage import Stage, record
from flower_world import Believing, batches

from fedproof.provers.base import ProverKilled
from fedproof.rounds.dataset import Batch

pytestmark = pytest.mark.reference

# -- steps and batches --------------------------------------------------------------------------------


def test_steps_from_another_model(stage: Stage) -> None:
    forger = stage.forger(stage.world.genesis.plus(np.ones_like(stage.world.genesis.vector)))
    forger.step(0)
    stage.demand_refused(stage.of(forger), "step 0 is proven at another model")


def test_a_chain_with_a_step_left_out(stage: Stage) -> None:
    forger = stage.forger()
    forger.step(0)
    forger.step(1)
    del forger.trainer.steps[0], forger.paths[0]
    stage.demand_refused(stage.of(forger), "step 0 is proven at another model")


def test_a_batch_outside_the_dataset(stage: Stage) -> None:
    # The path is of a batch that is there, the step is not on it.
    forger = stage.forger()
    forger.step(batches(stage.world.training, 1, 99).batches[0], path_of=0)
    stage.demand_refused(stage.of(forger), "not in the dataset")


def test_a_batch_of_another_trainer(stage: Stage) -> None:
    forger = stage.forger(of=1)
    forger.step(0)
    stage.demand_refused(stage.of(forger), "not in the dataset")


def test_the_same_data_under_a_fresh_salt(stage: Stage) -> None:
    forger = stage.forger()
    known = forger.dataset.batches[0]
    forger.step(Batch(known.x, known.y, (known.salt[0] + 1,), known.shift), path_of=0)
    stage.demand_refused(stage.of(forger), "not in the dataset")


def test_a_batch_twice_in_a_round(stage: Stage) -> None:
    forger = stage.forger()
    forger.step(0)
    forger.step(0)
    stage.demand_refused(stage.of(forger), "the batch of step 1 was used in this round already")


def test_more_steps_than_an_average_holds(stage: Stage) -> None:
    forger = stage.forger()
    for index in range(3):
        forger.step(index)
    stage.demand_refused(stage.of(forger), "more than 2 items")


def test_fewer_proofs_than_paths(stage: Stage) -> None:
    forger = stage.forger()
    forger.step(0)
    forger.step(1)
    reply = stage.of(forger)
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


class Dying(Believing):
    """Dies over the first ``deaths`` proofs."""

    deaths = 0

    def verify(self, folder, srs, proof, instances) -> bool:
        if self.deaths:
            self.deaths -= 1
            raise ProverKilled("signal 11")
        return True


@pytest.mark.parametrize("deaths", [1, 2])
def test_proofs_over_which_the_verifier_dies(stage: Stage, deaths: int) -> None:
    dying = Dying(stage.world.training)
    dying.deaths, stage.gate.prover = deaths, dying
    if deaths == 1:
        stage.demand_accepted(stage.honest())
    else:
        stage.demand_refused(stage.honest(), "cannot be verified: signal 11")
