"""The world of the attacks: one devnet and one set of proofs a session, every test undone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lowering"))

from chain_world import free_port
from proven_evidence import Evidence
from real_world import Game, RealWorld

from fedproof.chain.circuit_verifiers import verifier_spec
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.devnet import Devnet
from fedproof.circuits.store import CircuitStore
from fedproof.project import Project


@pytest.fixture(scope="session")
def real_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorld]:
    store = CircuitStore(Project.find())
    step, average = store.get("digits-linear"), store.get("digits-linear-average")
    net = Devnet(tmp_path_factory.mktemp("attacks"), l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        specs = [verifier_spec(circuit, "plain") for circuit in (step, average)]
        deployment = deploy("attacks", chains, specs, folder=tmp_path_factory.mktemp("deployments"))
        yield RealWorld(chains, deployment, Evidence(step, average))
    finally:
        net.down()


@pytest.fixture
def undone(real_world: RealWorld) -> Iterator[None]:
    """Put both chains back after the test."""
    with real_world.undone():
        yield


@pytest.fixture
def registered(undone: None, real_world: RealWorld) -> Game:
    """The model, the first on its hub; no round yet."""
    return real_world.register()


@pytest.fixture
def committed(registered: Game) -> Game:
    """Everyone has committed to its honest steps; nobody has submitted."""
    registered.commit_all()
    return registered


@pytest.fixture
def submitted(committed: Game) -> Game:
    """Everyone has submitted; nothing is aggregated."""
    for owner in range(len(committed.world.trainers)):
        committed.submit(owner)
    return committed


@pytest.fixture
def finalized(submitted: Game, real_world: RealWorld) -> Game:
    """The first round is finalized."""
    submitted.finalize(real_world.evidence.honest)
    return submitted
