"""A whole round whose average is proven in shards: the hub takes it as it takes any, and no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from sharded_averages import Averaged

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from chain_world import free_port

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifier_spec, verifying_key
from fedproof.chain.deploy import deploy, open_chains
from fedproof.chain.deployment import VerifierRecord
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient
from fedproof.chain.reverts import ContractRejected
from fedproof.chain.verifier_specs import ShardedSpec
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.errors import InvalidProof
from fedproof.rounds import Aggregator, Dataset, ModelVector, Proof
from fedproof.rounds.audit import RegistrationMismatch, adapter_differences, check_registration
from fedproof.rounds.driver import RoundDriver
from fedproof.rounds.registration import model_config, register_model
from fedproof.rounds.session import TrainerSession

pytestmark = pytest.mark.e2e

#: Gas of one transaction with an average of two shards.
MOST_GAS = 1_500_000


@dataclass(frozen=True)
class World:
    """A devnet with the verifiers of the small model, its trainers, and one round to play."""

    hub: HubClient
    model_id: bytes
    training: Circuit
    average: Circuit
    record: VerifierRecord
    key: tuple[bytes, ...]
    driver: RoundDriver
    config: object


@pytest.fixture(scope="module")
def world(store: CircuitStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    training, average = store.get("small"), store.get("small-average")
    folder = tmp_path_factory.mktemp("round")
    net = Devnet(folder / "net", l2_port=free_port(), l1_port=free_port())
    net.up()
    try:
        chains = open_chains(net.network, devnet=net)
        specs = [verifier_spec(c, "plain") for c in (training, average)]
        made = deploy("round", chains, specs, folder=folder)
        hub = HubClient(chains.l2, made.hub, made.abis["FedproofHub"])
        genesis = ModelVector.from_floats(training, np.array([0.1, -0.2, 0.3]))
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
            dataset, acting = Dataset.from_floats(training, x, y), hub.acting_as(account)
            sessions.append(TrainerSession(training, dataset, acting, model_id, folder / account.address))
            sessions[-1].register()
        keys = [verifying_key(c, made.verifier(c.name)) for c in (training, average)]
        driver = RoundDriver(
            hub, model_id, sessions, Aggregator(average), folder, steps=1, vka=(keys[0], keys[1])
        )
        driver.keep_model(genesis, 0)
        record = made.verifier(average.name)
        yield World(hub, model_id, training, average, record, keys[1], driver, config)
    finally:
        net.down()


def refuse(world: World, proof: bytes, word: str) -> None:
    """The hub must refuse to finalize the round in progress with this proof."""
    with pytest.raises((ContractRejected, InvalidProof), match=word):
        world.hub.finalize(world.model_id, 1, proof, list(world.key))


def test_a_round_whose_average_is_in_shards(world: World, another: Averaged, monkeypatch: pytest.MonkeyPatch):
    check_registration(world.hub, world.model_id, world.training, world.average)
    tried: list[str] = []
    finalize = type(world.driver.averaging).finalize

    def attacked(averaging: object, number: int, proof: Proof) -> object:
        """Every attack, before the honest proof."""
        first, second = (p.raw for p in proof.segments)
        foreign_first, foreign_second = (p.raw for p in another.proof.segments)
        changed = bytearray(second)
        changed[-1] ^= 1
        for name, forged, word in (
            ("swapped", second + first, "RemainderMismatch"),
            ("repeated", first + first, "RemainderMismatch"),
            ("repeated", second + second, "RemainderMismatch"),
            ("of another average", foreign_first + second, "RemainderMismatch"),
            ("of another average", first + foreign_second, "RemainderMismatch"),
            ("another average", foreign_first + foreign_second, "RemainderMismatch"),
            ("missing", first, "WrongProofLength"),
            ("too many", first + second + second, "WrongProofLength"),
            ("changed", first + bytes(changed), r"ShardRejected\(shard=1"),
        ):
            refuse(world, forged, word)
            tried.append(name)
        return finalize(averaging, number, proof)

    monkeypatch.setattr(type(world.driver.averaging), "finalize", attacked)
    outcome = world.driver.run()
    assert len(tried) == 9
    assert len(outcome.average_proof.segments) == 2
    assert outcome.finalized.gas < MOST_GAS
    print("gas of finalize:", outcome.finalized.gas)
    committed = world.hub.round(world.model_id, 1).result
    assert world.training.committer.pure(outcome.model.vector) == tuple(committed)


def test_an_audit_sees_another_verifier(world: World, monkeypatch: pytest.MonkeyPatch):
    spec, address = verifier_spec(world.average), world.record.adapter.address
    assert isinstance(spec, ShardedSpec)
    assert world.record.kind == "sharded"
    for changed, word in (
        (spec, ""),
        (replace(spec, shards=spec.shards.model_copy(update={"offset": (1, 2)})), "offset"),
        (replace(spec, shards=spec.shards.model_copy(update={"bits": 6})), "shape"),
        (replace(spec, shard=replace(spec.shard, instances=(1,))), "instances"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("fedproof.rounds.audit.verifier_spec", lambda _, spec=changed: spec)
            found = "; ".join(adapter_differences(world.hub.client, address, world.average))
        assert word in found
        assert bool(found) == bool(word)


def test_ones_of_other_rows_are_another_registration(world: World, monkeypatch: pytest.MonkeyPatch):
    """They are what binds the padding, and rounds."""
    short = world.average.committer.ones(3)
    monkeypatch.setattr("fedproof.rounds.audit.ones_of", lambda *_: short)
    with pytest.raises(RegistrationMismatch, match="commitment of ones"):
        check_registration(world.hub, world.model_id, world.training, world.average)
