"""Whole rounds: real data, real proofs, two chains. One small demo is run and looked at from all sides."""

from __future__ import annotations

from itertools import pairwise

import jsonschema
import numpy as np
import pytest
from demo_world import CIRCUIT, ROUNDS, STEPS, TRAINERS, World

from fedproof.chain.digests import model_hash
from fedproof.chain.hub import Phase
from fedproof.circuits.store import CircuitStore
from fedproof.record import RunRecord
from fedproof.record.schema import shipped_schema
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.published import PublishedModel, WrongModel, verify_model
from fedproof.srs import SrsStore

pytestmark = pytest.mark.e2e

BATCH = 8


@pytest.fixture(scope="module")
def published(world: World) -> PublishedModel:
    return PublishedModel.load(world.folder / "model.json")


def test_the_record_is_of_its_schema(world: World) -> None:
    jsonschema.Draft202012Validator(shipped_schema()).validate(world.document)
    assert RunRecord.read(world.folder / "run.json") == world.record
    assert world.record.complete
    assert world.record.error is None


def test_the_record_counts_everything_that_was_proven(world: World) -> None:
    record = world.record
    assert record.parameters == 650
    assert [r.round for r in record.rounds] == list(range(1, ROUNDS + 1))
    assert record.proofs == ROUNDS * (TRAINERS * STEPS + 1)
    for r in record.rounds:
        assert [t.samples for t in r.trainers] == [STEPS * BATCH] * TRAINERS
        assert {s.circuit for t in r.trainers for s in t.steps} == {CIRCUIT}
        assert min(t.commit_gas for t in r.trainers) > 0
        assert min(t.submit_gas for t in r.trainers) > STEPS * 400_000
        assert r.finalize_gas > 0


def test_the_page_is_written(world: World) -> None:
    page = (world.folder / "report.html").read_text()
    assert all(r.model_hash in page for r in world.record.rounds)


def test_no_transaction_is_beyond_the_limit_of_its_chain(world: World) -> None:
    for t in world.record.transactions:
        assert t.gas < (16_777_216 if t.chain == "l1" else 32_000_000), t


def test_the_hash_on_l1_is_that_of_l2(world: World, published: PublishedModel) -> None:
    for r in world.record.rounds:
        on_l2 = world.hub.model_hash(published.id_bytes, r.round)
        on_l1 = world.registry.record_of(published.id_bytes, r.round).model_hash
        assert "0x" + on_l2.hex() == "0x" + on_l1.hex() == r.model_hash == r.l1.model_hash
    assert len({r.model_hash for r in world.record.rounds}) == ROUNDS


def test_the_hub_weighed_as_the_aggregator_did(world: World, published: PublishedModel) -> None:
    for number in range(1, ROUNDS + 1):
        submissions = world.hub.submissions(published.id_bytes, number)
        weights = world.hub.weights(published.id_bytes, number)
        bits = world.hub.model(published.id_bytes).config.weight_bits
        expected = fold_weights([s.samples for s in submissions], bits)
        assert [weights[s.trainer] for s in submissions] == expected
        assert world.hub.phase(published.id_bytes, number) is Phase.FINALIZED


def test_accuracy_rises_and_is_that_of_floating_point(world: World) -> None:
    record = world.record
    after = [record.accuracy_before, *(r.accuracy for r in record.rounds)]
    assert all(later > earlier for earlier, later in pairwise(after)), after
    assert after[-1] > after[0] + 0.15, after
    for r in record.rounds:
        assert abs(r.accuracy - r.accuracy_float) <= 0.02, (r.round, r.accuracy, r.accuracy_float)


def test_what_happened_is_printed(world: World) -> None:
    assert "matches the registry" in world.printed
    assert "DOES NOT MATCH" not in world.printed
    for r in world.record.rounds:
        assert f"round {r.round}" in world.printed


# -- a person with the final weights and an L1 RPC -------------------------------------------------------


def test_the_final_weights_are_the_ones_on_l1(world: World, published: PublishedModel) -> None:
    srs = SrsStore(world.project.srs).get(published.logrows)
    found = verify_model(published, srs, world.registry)
    assert found.round_number == ROUNDS
    latest = world.registry.latest(published.id_bytes)
    assert latest is not None
    assert latest.model_hash == found.model_hash == published.hash(srs)


@pytest.mark.parametrize("place", [0, 324, 649, -1])
def test_a_changed_weight_is_refused(world: World, published: PublishedModel, place: int) -> None:
    vector = list(published.vector)
    vector[place] += 1
    changed = published.model_copy(update={"vector": tuple(vector)})
    with pytest.raises(WrongModel, match="the registry has"):
        verify_model(changed, SrsStore(world.project.srs).get(published.logrows), world.registry)


def test_the_model_of_another_round_is_refused(world: World, published: PublishedModel) -> None:
    srs = SrsStore(world.project.srs).get(published.logrows)
    earlier = PublishedModel.load(world.folder / "models" / f"round{ROUNDS - 1}.json")
    assert verify_model(earlier, srs, world.registry).round_number == ROUNDS - 1
    with pytest.raises(WrongModel, match="the registry has"):
        verify_model(earlier.model_copy(update={"round": ROUNDS}), srs, world.registry)
    with pytest.raises(WrongModel, match=f"no hash for round {ROUNDS + 1}"):
        verify_model(published.model_copy(update={"round": ROUNDS + 1}), srs, world.registry)
    genesis = PublishedModel.load(world.folder / "models" / "round0.json")
    with pytest.raises(WrongModel, match="no hash for round 0"):
        verify_model(genesis, srs, world.registry)


def test_every_model_opens_its_commitment_on_the_hub(world: World, published: PublishedModel) -> None:
    circuit = CircuitStore(world.project).get(CIRCUIT)
    for number in range(1, ROUNDS + 1):
        kept = PublishedModel.load(world.folder / "models" / f"round{number}.json")
        state = world.hub.round(published.id_bytes, number)
        circuit.committer.check_opening(np.array(kept.vector), state.result)
        assert model_hash(published.id_bytes, number, state.result) == state.model_hash
