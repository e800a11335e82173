"""A round of a Flower federation on a real hub, with real proofs: honest clients, and one that cheats."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from flower_stage import scaling
from flower_world import World, play
from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import free_port

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifier_spec, verifying_key
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient, Phase
from fedproof.flower import HubAccess, HubStrategy, ProofMod, current_trainer, model_of
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.registration import model_config, register_model
from fedproof.training import ProvingTrainer

pytestmark = pytest.mark.e2e

TRAINERS = [devnet_account(i) for i in (1, 2, 3)]
GUARDIANS = [devnet_account(i) for i in (7, 8)]


def app(world: World, index: int, access: HubAccess, folder: Path, *outer) -> ClientApp:
    app = ClientApp()
    trainer = ProvingTrainer(
        world.training,
        key=TRAINERS[index],
        folder=folder,
        data=world.trainers[index].dataset,
        prover=world.prover,
    )

    @app.train(mods=[*outer, ProofMod(lambda _: trainer, lambda _: access)])
    def train(message: Message, context) -> Message:
        own = current_trainer()
        own.step(next(iter(own)))
        return Message(RecordDict({"metrics": MetricRecord({"train-loss": 1.0})}), reply_to=message)

    return app


def test_a_round_on_a_hub_without_its_cheat(world: World, tmp_path: Path) -> None:
    circuits = world.training, world.average
    net = Devnet(tmp_path / "net", l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        made = deploy("flower", chains, [verifier_spec(c) for c in circuits], folder=tmp_path / "made")
        hub = HubClient(chains.l2, made.hub, made.abis["FedproofHub"])
        step_key, average_key = (verifying_key(c, made.verifier(c.name)) for c in circuits)
        terms = model_config(
            *circuits,
            world.genesis,
            made,
            guardians=[g.address for g in GUARDIANS],
            guardian_threshold=2,
            min_trainers=2,
        )
        model_id, _ = register_model(hub, terms, [t.address for t in TRAINERS])
        access = HubAccess(hub, step_key)
        grid = world.grid(
            *(app(world, i, access, tmp_path / str(i), *([scaling] if i == 2 else [])) for i in range(3))
        )
        strategy = HubStrategy(
            FedAvg(fraction_evaluate=0.0),
            circuits,
            hub,
            model_id,
            tmp_path / "server",
            guardians=GUARDIANS,
            vka=average_key,
            prover=world.prover,
        )
        (arrays, metrics), _ = play(strategy, grid, world.arrays, 1)
        assert metrics["fedproof-accepted"] == 2
        assert [r.trainer for r in strategy.refused] == [TRAINERS[2].address]
        state = hub.round(model_id, 1)
        assert (state.phase, state.submitted, state.left_out) == (Phase.FINALIZED, 3, 1)
        model = model_of(world.training, arrays)
        assert not np.array_equal(model.vector, world.genesis.vector)
        world.training.committer.check_opening(model.vector.tolist(), state.result)
        kept = PublishedModel.load(tmp_path / "server" / "models" / "round1.json")
        assert kept.hash(world.training.srs) == state.model_hash
    finally:
        net.down()
