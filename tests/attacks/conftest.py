"""The world of the attacks: one devnet and one set of proofs a session, every test undone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lowering"))

from chain_world import free_port
from real_world import Evidence, Game, RealWorld

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


@pytest.fixture(scope="session")
def stages(real_world: RealWorld) -> dict[str, Game]:
    """The model four times, each at another stage of its first round."""
    games = {name: real_world.register() for name in ("registered", "committed", "submitted", "finalized")}
    games["committed"].commit_all()
    games["submitted"].submit_all()
    games["finalized"].submit_all()
    games["finalized"].finalize(real_world.evidence.honest)
    return games


@pytest.fixture
def undone(stages: dict[str, Game], real_world: RealWorld) -> Iterator[None]:
    """Put both chains back after the test."""
    with real_world.undone():
        yield


def _copy(game: Game) -> Game:
    return Game(game.world, game.model_id, game.number, dict(game.receipts))


@pytest.fixture
def registered(stages: dict[str, Game]) -> Game:
    """No round yet."""
    return _copy(stages["registered"])


@pytest.fixture
def committed(stages: dict[str, Game]) -> Game:
    """Everyone has committed to its honest steps; nobody has submitted."""
    return _copy(stages["committed"])


@pytest.fixture
def submitted(stages: dict[str, Game]) -> Game:
    """Everyone has submitted; nothing is aggregated."""
    return _copy(stages["submitted"])


@pytest.fixture
def finalized(stages: dict[str, Game]) -> Game:
    """The first round is finalized."""
    return _copy(stages["finalized"])
