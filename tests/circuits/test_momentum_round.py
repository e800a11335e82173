"""A whole round with momentum: the hub follows the optimiser's state from zero, step by step."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from kinds_project import kinds_project

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import free_port

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifier_spec, verifying_key
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient
from fedproof.chain.reverts import ContractRejected
from fedproof.circuits.store import CircuitStore
from fedproof.rounds import Aggregator, Dataset, ModelVector, Trainer
from fedproof.rounds.audit import RegistrationMismatch, check_registration
from fedproof.rounds.driver import RoundDriver
from fedproof.rounds.registration import model_config, register_model
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
    net = Devnet(tmp_path / "net", l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        specs = [verifier_spec(c) for c in (training, average)]
        made = deploy("momentum", chains, specs, folder=tmp_path / "deployments")
        hub = HubClient(chains.l2, made.hub, made.abis["FedproofHub"])
        g = np.random.default_rng(0)
        genesis = ModelVector.from_floats(training, g.uniform(-0.25, 0.25, 9))
        guardians = [devnet_account(i).address for i in (7, 8)]
        config = model_config(
            training, average, genesis, made, guardians=guardians, guardian_threshold=2, min_trainers=2
        )
        assert config.stateful
        accounts = [devnet_account(i) for i in (1, 2)]
        model_id, _ = register_model(hub, config, [a.address for a in accounts])
        check_registration(hub, model_id, training, average)
        with pytest.raises(RegistrationMismatch, match="optimiser's state is True, not False"):
            check_registration(hub, model_id, store.get("scores"), average)
        sessions = []
        for account, kind in zip(accounts, (TrainerSession, Forgetful), strict=True):
            x, labels = g.uniform(-0.5, 0.5, (8, 2)), g.integers(0, 3, 8)
            dataset = Dataset.from_floats(training, x, np.eye(3)[labels])
            acting = hub.acting_as(account)
            sessions.append(kind(training, dataset, acting, model_id, tmp_path / account.address))
            sessions[-1].register()
        keys = [verifying_key(c, made.verifier(c.name)) for c in (training, average)]
        driver = RoundDriver(
            hub, model_id, sessions, Aggregator(average), tmp_path, steps=2, vka=(keys[0], keys[1])
        )
        driver.keep_model(genesis, 0)
        with pytest.raises(ContractRejected, match="StateCommitmentMismatch"):
            driver.run()
        (submitted,) = hub.submissions(model_id, 1)
        assert submitted.trainer == accounts[0].address
        # The hub took the update of the steps as taken, the second with the velocity of the first.
        honest = sessions[0].train(1, genesis, 2)
        assert submitted.update == training.committer.pure(honest.update)
        assert np.any(np.array(honest.steps[1].slot("state")))
    finally:
        net.down()
