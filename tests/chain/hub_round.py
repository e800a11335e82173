"""Two trainers of a small model on a devnet of their own, admitted and registered, ready for a round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from chain_world import free_port

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifier_spec, verifying_key
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.deployment import Deployment
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient, ModelConfig
from fedproof.circuits.store import Circuit
from fedproof.rounds import Aggregator, Dataset, ModelVector
from fedproof.rounds.driver import RoundDriver
from fedproof.rounds.registration import model_config, register_model
from fedproof.rounds.session import TrainerSession

#: Samples and targets of one trainer.
Samples = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class HubRound:
    """A registered model, its trainers, and the driver of its next round. ``keys``: of step and average."""

    training: Circuit
    average: Circuit
    deployment: Deployment
    hub: HubClient
    config: ModelConfig
    model_id: bytes
    sessions: list[TrainerSession]
    keys: tuple[tuple[bytes, ...], tuple[bytes, ...]]
    driver: RoundDriver


@contextmanager
def hub_round(
    circuits: tuple[Circuit, Circuit],
    genesis: ModelVector,
    data: Sequence[Samples],
    folder: Path,
    *,
    steps: int = 1,
    kinds: Sequence[type[TrainerSession]] = (TrainerSession, TrainerSession),
) -> Iterator[HubRound]:
    """Deploy, register, admit; a trainer for each of ``data``, who is of the kind in its place."""
    training, average = circuits
    net = Devnet(folder / "net", l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        made = deploy("round", chains, [verifier_spec(c) for c in circuits], folder=folder / "deployments")
        hub = HubClient(chains.l2, made.hub, made.abis["FedproofHub"])
        guardians = [devnet_account(i).address for i in (7, 8)]
        config = model_config(
            training, average, genesis, made, guardians=guardians, guardian_threshold=2, min_trainers=2
        )
        accounts = [devnet_account(i + 1) for i in range(len(data))]
        model_id, _ = register_model(hub, config, [a.address for a in accounts])
        sessions = []
        for account, (x, y), kind in zip(accounts, data, kinds, strict=True):
            dataset, acting = Dataset.from_floats(training, x, y), hub.acting_as(account)
            sessions.append(kind(training, dataset, acting, model_id, folder / account.address))
            sessions[-1].register()
        step_key, average_key = (verifying_key(c, made.verifier(c.name)) for c in circuits)
        keys = (step_key, average_key)
        driver = RoundDriver(hub, model_id, sessions, Aggregator(average), folder, steps=steps, vka=keys)
        driver.keep_model(genesis, 0)
        yield HubRound(training, average, made, hub, config, model_id, sessions, keys, driver)
    finally:
        net.down()
