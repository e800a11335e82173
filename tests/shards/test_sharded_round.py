"""A whole round whose average is proven in shards: the hub takes it as it takes any, and no other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sharded_averages import Averaged

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from hub_round import HubRound, hub_round

from fedproof.chain.circuit_verifiers import verifier_spec
from fedproof.chain.reverts import ContractRejected
from fedproof.chain.verifier_specs import ShardedSpec
from fedproof.circuits.store import CircuitStore
from fedproof.errors import InvalidProof
from fedproof.rounds import ModelVector, Proof
from fedproof.rounds.audit import RegistrationMismatch, adapter_differences, check_registration

pytestmark = pytest.mark.e2e

#: Gas of one transaction with an average of two shards.
MOST_GAS = 1_500_000


@pytest.fixture(scope="module")
def world(store: CircuitStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubRound]:
    training, average = store.get("small"), store.get("small-average")
    genesis, g = ModelVector.from_floats(training, np.array([0.1, -0.2, 0.3])), np.random.default_rng(0)
    data = [(g.uniform(-0.5, 0.5, (4, 2)), g.uniform(-0.5, 0.5, (4, 1))) for _ in range(2)]
    with hub_round((training, average), genesis, data, tmp_path_factory.mktemp("round")) as made:
        yield made


def refuse(world: HubRound, proof: bytes, word: str) -> None:
    """The hub must refuse to finalize the round in progress with this proof."""
    with pytest.raises((ContractRejected, InvalidProof), match=word):
        world.hub.finalize(world.model_id, 1, proof, list(world.keys[1]))


def test_a_round_whose_average_is_in_shards(
    world: HubRound, another: Averaged, monkeypatch: pytest.MonkeyPatch
):
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


def test_an_audit_sees_another_verifier(world: HubRound, monkeypatch: pytest.MonkeyPatch):
    spec, record = verifier_spec(world.average), world.deployment.verifier(world.average.name)
    assert isinstance(spec, ShardedSpec)
    assert record.kind == "sharded"
    for changed, word in (
        (spec, ""),
        (replace(spec, shards=spec.shards.model_copy(update={"offset": (1, 2)})), "offset"),
        (replace(spec, shards=spec.shards.model_copy(update={"bits": 6})), "shape"),
        (replace(spec, shard=replace(spec.shard, instances=(1,))), "instances"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("fedproof.rounds.audit.verifier_spec", lambda _, spec=changed: spec)
            found = "; ".join(adapter_differences(world.hub.client, record.adapter.address, world.average))
        assert word in found
        assert bool(found) == bool(word)


def test_ones_of_other_rows_are_another_registration(world: HubRound, monkeypatch: pytest.MonkeyPatch):
    """They are what binds the padding, and rounds."""
    short = world.average.committer.ones(3)
    monkeypatch.setattr("fedproof.rounds.audit.ones_of", lambda *_: short)
    with pytest.raises(RegistrationMismatch, match="commitment of ones"):
        check_registration(world.hub, world.model_id, world.training, world.average)
