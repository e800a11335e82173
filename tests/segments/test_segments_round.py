"""A whole round of a model whose steps are proven in segments: the hub takes their proofs as it takes any."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from segmented_project import parameters

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import free_port

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifier_spec, verifying_key
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient
from fedproof.circuits.store import CircuitStore
from fedproof.rounds import Aggregator, Dataset, ModelVector
from fedproof.rounds.audit import check_registration
from fedproof.rounds.driver import RoundDriver
from fedproof.rounds.registration import model_config, register_model
from fedproof.rounds.session import TrainerSession

pytestmark = pytest.mark.e2e

AVERAGE = 'kind = "average"\nof = "cut"\ntable = 7\n\n[plonk]\nlogrows = 9\ncolumns = 2\n'
#: Gas of one transaction with the proof of one step: three segments, verified and linked.
MOST_GAS = 2_500_000


def test_a_round_of_steps_in_segments(store: CircuitStore, tmp_path: Path):
    (store.project.circuits / "cut-average.toml").write_text(AVERAGE)
    training, average = store.get("cut"), store.get("cut-average")
    net = Devnet(tmp_path / "net", l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        specs = [verifier_spec(c) for c in (training, average)]
        made = deploy("round", chains, specs, folder=tmp_path / "deployments")
        hub = HubClient(chains.l2, made.hub, made.abis["FedproofHub"])
        genesis = ModelVector.from_floats(training, parameters(0))
        guardians = [devnet_account(i).address for i in (7, 8)]
        config = model_config(
            training, average, genesis, made, guardians=guardians, guardian_threshold=2, min_trainers=2
        )
        accounts = [devnet_account(i) for i in (1, 2)]
        model_id, _ = register_model(hub, config, [a.address for a in accounts])
        g = np.random.default_rng(0)
        sessions = []
        for account in accounts:
            x, y = g.uniform(-0.5, 0.5, (4, 2)), g.uniform(-0.5, 0.5, (4, 1))
            dataset = Dataset.from_floats(training, x, y)
            acting = hub.acting_as(account)
            sessions.append(TrainerSession(training, dataset, acting, model_id, tmp_path / account.address))
            sessions[-1].register()
        check_registration(hub, model_id, training, average)
        keys = [verifying_key(c, made.verifier(c.name)) for c in (training, average)]
        driver = RoundDriver(
            hub, model_id, sessions, Aggregator(average), tmp_path, steps=1, vka=(keys[0], keys[1])
        )
        driver.keep_model(genesis, 0)
        outcome = driver.run()
        assert not np.array_equal(outcome.model.parameters, genesis.parameters)
        for work in outcome.work.values():
            assert all(len(proof.segments) == 3 for proof in work.proofs)
        gas = [receipt.gas for receipt in outcome.submits.values() if receipt]
        assert len(gas) == 2
        assert max(gas) < MOST_GAS, gas
        print("gas of a submission:", gas)
    finally:
        net.down()
