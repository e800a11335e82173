"""Rounds on a hub, a fake one in memory: who commits and submits there, and what the server still checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flower_stage import scaling
from flower_world import ACCOUNTS, OWNER, Grid, World, play
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAdam, FedAvg
from hub_in_memory import HubInMemory, Memory

from fedproof.chain.hub import Phase
from fedproof.errors import CallerError, InvalidProof
from fedproof.flower import HubAccess, HubStrategy, ProofMod, current_trainer, model_of
from fedproof.rounds.published import PublishedModel

pytestmark = pytest.mark.reference

MODEL_ID, HUB = bytes(range(32)), "0x" + "cd" * 20
GUARDIANS = ACCOUNTS[2:4]


@dataclass
class Town(Memory):
    """A hub with datasets and admitted trainers."""

    roots: dict[str, bytes] = field(default_factory=dict)
    admitted: set[str] = field(default_factory=lambda: {a.address for a in ACCOUNTS})


class TownHub(HubInMemory):
    """The hub as one account acts on it; ``address`` is the account's, as in its base."""

    memory: Town

    def __init__(self, memory: Town, account: str) -> None:
        super().__init__(memory, account)
        self.account = account
        self.client = SimpleNamespace(
            account=OWNER if account == OWNER.address else SimpleNamespace(address=account)
        )
        self.address = account

    def acting_as(self, account: Any) -> TownHub:
        return TownHub(self.memory, account.address)

    def trainer(self, model_id: bytes, account: str) -> SimpleNamespace:
        return SimpleNamespace(
            admitted=account in self.memory.admitted,
            dataset_root=self.memory.roots.get(account, bytes(32)),
            dataset_from=1,
        )

    def register_dataset(self, model_id: bytes, root: bytes) -> str:
        self.memory.roots[self.account] = root
        return self._sent("register")

    def model(self, model_id: bytes) -> SimpleNamespace:
        state = super().model(model_id)
        return SimpleNamespace(**vars(state), config=SimpleNamespace(guardian_threshold=2))

    def round(self, model_id: bytes, number: int) -> SimpleNamespace:
        state = super().round(model_id, number)
        return SimpleNamespace(base=self.memory.model_at(state.parent), number=number)

    def submit(self, model_id, number, nonce, steps, vka):
        receipt = super().submit(model_id, number, nonce, steps, vka)
        self._round(number).submissions[-1].steps = len(steps)
        return receipt

    def sign_leave_out(self, model_id, number, trainer, reason, guardians) -> list[str]:
        return [g.address for g in guardians]

    def leave_out(self, model_id, number, trainer, reason, signatures) -> str:
        assert len(signatures) == 2
        found = next(s for s in self._round(number).submissions if s.trainer == trainer)
        found.left_out = True
        return self._sent("leave out")

    def finalize(self, model_id, number, proof, vka):
        digest, _ = super().finalize(model_id, number, proof, vka)
        return digest, SimpleNamespace(gas=1)


@pytest.fixture
def town(quick: World) -> Town:
    genesis = quick.training.committer.pure(quick.genesis.vector.tolist())
    return Town(quick.training, quick.average, genesis, trainers=2)


class Seen(TownHub):
    """The hub as a server or a client holds it: its address is the hub's."""

    def __init__(self, memory: Town, hub: str = HUB) -> None:
        super().__init__(memory, OWNER.address)
        self.client = SimpleNamespace(account=OWNER)
        self.address = hub

    def acting_as(self, account: Any) -> TownHub:
        return TownHub(self.memory, account.address)


def app(world: World, town: Town, index: int, *outer, hub: str = HUB) -> ClientApp:
    app, trainer = ClientApp(), world.trainer(index, world.trainers[index].dataset)
    seen = Seen(town, hub)

    @app.train(mods=[*outer, ProofMod(lambda _: trainer, lambda _: HubAccess(seen))])
    def train(message: Message, context) -> Message:
        own = current_trainer()
        own.step(next(iter(own)))
        return Message(RecordDict({"metrics": MetricRecord({"train-loss": 0.25})}), reply_to=message)

    return app


def server(world: World, town: Town, folder, **options) -> HubStrategy:
    inner = FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
    circuits = (world.training, world.average)
    return HubStrategy(inner, circuits, Seen(town), MODEL_ID, folder, prover=world.prover, **options)


def federation(world: World, town: Town, *outer) -> Grid:
    return world.grid(app(world, town, 0), app(world, town, 1, *outer))


def test_two_rounds_on_a_hub(quick: World, town: Town, tmp_path) -> None:
    strategy, grid = server(quick, town, tmp_path), federation(quick, town)
    (arrays, metrics), _ = play(strategy, grid, quick.arrays, 1)
    assert metrics == MetricRecord({"train-loss": 0.25, "fedproof-accepted": 2, "fedproof-refused": 0})
    model = model_of(quick.training, arrays)
    assert quick.training.committer.pure(model.vector.tolist()) == town.rounds[0].result
    kept = PublishedModel.load(tmp_path / "models" / "round1.json")
    assert np.array_equal(kept.model.vector, model.vector)
    (arrays, _), _ = play(strategy, grid, arrays, 2)
    assert arrays is not None
    assert [r.phase for r in town.rounds] == [Phase.FINALIZED] * 2
    # Each client acts for itself: the server has opened and finalized, and nothing else.
    own = [call.split()[0] for call in town.calls if call.endswith(ACCOUNTS[0].address)]
    assert own == ["register", "commit", "submit", "commit", "submit"]


def test_an_update_that_does_not_open_its_commitment_is_left_out(quick: World, town: Town, tmp_path) -> None:
    strategy = server(quick, town, tmp_path, guardians=GUARDIANS)
    (arrays, metrics), _ = play(strategy, federation(quick, town, scaling), quick.arrays, 1)
    assert arrays is not None
    assert metrics["fedproof-refused"] == 1
    (refused,) = strategy.refused
    assert refused.trainer == ACCOUNTS[1].address
    assert "is not the one it committed to on the hub" in refused.reason
    assert [s.trainer for s in town.rounds[0].submissions if s.left_out] == [ACCOUNTS[1].address]
    assert town.rounds[0].phase is Phase.FINALIZED


def test_without_guardians_such_a_round_is_not_finalized(quick: World, town: Town, tmp_path) -> None:
    strategy = server(quick, town, tmp_path)
    with pytest.raises(InvalidProof, match="2 guardians have to leave it out"):
        play(strategy, federation(quick, town, scaling), quick.arrays, 1)
    assert town.rounds[0].phase is Phase.FINALIZE


def test_a_trainer_that_the_hub_has_not_admitted(quick: World, town: Town, tmp_path) -> None:
    town.admitted.discard(ACCOUNTS[1].address)
    town.trainers = 1
    strategy = server(quick, town, tmp_path)
    (arrays, _), replies = play(strategy, federation(quick, town), quick.arrays, 1)
    assert arrays is not None
    assert len(replies) == 1
    assert "has not admitted" in strategy.refused[0].reason


def test_a_client_writes_to_its_own_hub_only(quick: World, town: Town, tmp_path) -> None:
    strategy = server(quick, town, tmp_path)
    grid = quick.grid(app(quick, town, 0, hub="0x" + "ee" * 20), quick.app(1))
    assert list(strategy.configure_train(1, quick.arrays, ConfigRecord(), grid)) == []
    reasons = [str(r.error.reason) for r in grid.replies]
    assert any("this client to 0x" + "ee" * 20 in r for r in reasons)
    assert any("this client knows none" in r for r in reasons)


def test_a_server_with_another_model_than_the_hub(quick: World, town: Town, tmp_path) -> None:
    strategy = server(quick, town, tmp_path)
    other = World(quick.training, quick.average, quick.prover, tmp_path)
    with pytest.raises(InvalidProof, match="model of this run"):
        list(strategy.configure_train(1, other.arrays, ConfigRecord(), federation(quick, town)))


def test_a_hub_takes_averages_only(quick: World, town: Town, tmp_path) -> None:
    with pytest.raises(CallerError, match="weighted averages only"):
        HubStrategy(FedAdam(), (quick.training, quick.average), Seen(town), MODEL_ID, tmp_path)
