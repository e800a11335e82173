"""A whole round with momentum: the hub follows the optimiser's state from zero, step by step."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from kinds_project import kinds_project

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from hub_round import hub_round

from fedproof.chain.reverts import ContractRejected
from fedproof.circuits.store import CircuitStore
from fedproof.rounds import ModelVector, Trainer
from fedproof.rounds.audit import RegistrationMismatch, check_registration
from fedproof.rounds.session import TrainerSession

pytestmark = pytest.mark.e2e

AVERAGE = 'kind = "average"\nof = "scores-momentum"\ntable = 8\n\n[plonk]\nlogrows = 10\ncolumns = 2\n'
NAME = "scores-momentum"


class Forgetful(TrainerSession):
    """Takes its second step as if it were its first: from a state of zeros. Each proof is a true one."""

    def train(self, round_number, model, steps):
        work = super().train(round_number, model, steps)
        fresh = Trainer(self.circuit, model.minus(work.steps[0].vector))
        work.steps[1] = fresh.step(self.dataset.batches[work.batches[1]])
        return work


def test_a_round_with_momentum(tmp_path: Path):
    project = kinds_project(tmp_path / "project")
    (project.circuits / f"{NAME}-average.toml").write_text(AVERAGE)
    store = CircuitStore(project)
    training, average = store.get(NAME), store.get(f"{NAME}-average")
    g = np.random.default_rng(0)
    genesis = ModelVector.from_floats(training, g.uniform(-0.25, 0.25, 9))
    data = [(g.uniform(-0.5, 0.5, (8, 2)), np.eye(3)[g.integers(0, 3, 8)]) for _ in range(2)]
    kinds = (TrainerSession, Forgetful)
    with hub_round((training, average), genesis, data, tmp_path, steps=2, kinds=kinds) as world:
        assert world.config.stateful
        check_registration(world.hub, world.model_id, training, average)
        with pytest.raises(RegistrationMismatch, match="optimiser's state is True, not False"):
            check_registration(world.hub, world.model_id, store.get("scores"), average)
        with pytest.raises(ContractRejected, match="StateCommitmentMismatch"):
            world.driver.run()
        (submitted,) = world.hub.submissions(world.model_id, 1)
        assert submitted.trainer == world.sessions[0].address
        # The hub took the update of the steps as taken, the second with the velocity of the first.
        honest = world.sessions[0].train(1, genesis, 2)
        assert submitted.update == training.committer.pure(honest.update)
        assert np.any(np.array(honest.steps[1].slot("state")))
