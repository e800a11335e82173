"""A published model: the file, its hash, and the registry it is compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tiny_circuits import PARAMETERS

from fedproof.chain.digests import model_hash
from fedproof.chain.registry import ModelRecord, RecordStatus, RegistryClient
from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.lowering.numbers import Numbers
from fedproof.rounds import ModelVector
from fedproof.rounds.published import PublishedModel, WrongModel, verify_model

pytestmark = pytest.mark.reference

MODEL_ID = bytes(range(32))


@dataclass
class FakeRegistry:
    """Answers with one record, whatever the round."""

    model_hash: bytes
    status: RecordStatus = RecordStatus.PROVISIONAL

    def record_of(self, model_id: bytes, round_number: int) -> ModelRecord:
        return ModelRecord(round_number, self.model_hash, 1, self.status, 1)


def registry(found: bytes, status: RecordStatus = RecordStatus.PROVISIONAL) -> RegistryClient:
    return cast(RegistryClient, FakeRegistry(found, status))


@pytest.fixture
def published(training: Circuit) -> PublishedModel:
    model = ModelVector.from_floats(training, np.linspace(-1, 1, PARAMETERS))
    return PublishedModel.of(training, model, MODEL_ID, 3, registry="0x" + "11" * 20, l1_chain_id=1337)


def test_a_file_gives_back_the_model(published: PublishedModel, tmp_path: Path) -> None:
    published.save(tmp_path / "model.json")
    again = PublishedModel.load(tmp_path / "model.json")
    assert again == published
    assert np.array_equal(again.model.vector, np.array(published.vector))
    assert np.abs(again.model.floats - np.linspace(-1, 1, PARAMETERS)).max() <= 2**-7
    assert again.id_bytes == MODEL_ID


def test_the_hash_is_the_hubs(training: Circuit, published: PublishedModel) -> None:
    commitment = training.committer.pure(list(published.vector))
    assert published.hash(training.srs) == model_hash(MODEL_ID, 3, commitment)


@pytest.mark.parametrize("status", [RecordStatus.PROVISIONAL, RecordStatus.FINAL])
def test_the_right_model_passes(training: Circuit, published: PublishedModel, status: RecordStatus) -> None:
    found = verify_model(published, training.srs, registry(published.hash(training.srs), status))
    assert found.status is status


@pytest.mark.parametrize("place", [0, PARAMETERS - 1, -1])
def test_one_changed_unit_is_refused(training: Circuit, published: PublishedModel, place: int) -> None:
    recorded = registry(published.hash(training.srs))
    vector = list(published.vector)
    vector[place] += 1
    with pytest.raises(WrongModel, match="these weights have the hash") as caught:
        verify_model(published.model_copy(update={"vector": tuple(vector)}), training.srs, recorded)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("change", [{"round": 4}, {"round": 2}, {"model_id": "0x" + "00" * 32}])
def test_a_file_of_another_round_or_model_is_refused(
    training: Circuit, published: PublishedModel, change: dict[str, object]
) -> None:
    recorded = registry(published.hash(training.srs))
    with pytest.raises(WrongModel, match="the registry has"):
        verify_model(published.model_copy(update=change), training.srs, recorded)


def test_no_record_and_a_frozen_one_are_refused(training: Circuit, published: PublishedModel) -> None:
    found = published.hash(training.srs)
    with pytest.raises(WrongModel, match="no hash for round 3"):
        verify_model(published, training.srs, registry(bytes(32), RecordStatus.NONE))
    with pytest.raises(WrongModel, match="frozen"):
        verify_model(published, training.srs, registry(found, RecordStatus.FROZEN))


def test_another_srs_is_named(training: Circuit, published: PublishedModel) -> None:
    other = replace(training.srs, digest="ab" * 32)
    with pytest.raises(CallerError, match="this one is " + "ab" * 32):
        published.hash(other)
    # The digest in the file is not believed over the file that is there.
    with pytest.raises(CallerError, match="committed under SRS " + "cd" * 32):
        published.model_copy(update={"srs_digest": "cd" * 32}).hash(training.srs)


def test_zeros_at_the_end_change_no_hash(training: Circuit, published: PublishedModel) -> None:
    # What docs/protocol.md says about a hash: the length of the vector is not covered by it.
    longer = published.model_copy(update={"vector": (*published.vector, 0, 0)})
    assert longer.hash(training.srs) == published.hash(training.srs)


def _set(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda kept: kept.__setitem__(key, value)


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a format from the future": (_set("format", 2), "format"),
    "an unknown key": (_set("weight", 1), "weight"),
    "no vector": (lambda kept: kept.pop("vector"), "vector"),
    "a fraction": (lambda kept: kept["vector"].__setitem__(4, 0.5), "vector.4"),
    "a number as text": (lambda kept: kept["vector"].__setitem__(4, "5"), "vector.4"),
    "beyond int64": (lambda kept: kept["vector"].__setitem__(4, 2**63), "vector.4"),
    "more parameters than elements": (_set("parameters", 1000), "1000 parameters"),
    "a short id": (_set("model_id", "0x00"), "model_id"),
    "an id that is no hex": (_set("model_id", "0x" + "zz" * 32), "model_id"),
    "a negative round": (_set("round", -1), "round"),
    "an impossible k": (_set("logrows", 99), "logrows"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(published: PublishedModel, tmp_path: Path, damage: str) -> None:
    change, words = DAMAGE[damage]
    kept = json.loads(published.model_dump_json())
    change(kept)
    (tmp_path / "model.json").write_text(json.dumps(kept))
    with pytest.raises(CallerError, match=words) as caught:
        PublishedModel.load(tmp_path / "model.json")
    assert "is not a model file" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1'])
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(CallerError, match=r"model\.json"):
        PublishedModel.load(tmp_path / "model.json")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="no model file"):
        PublishedModel.load(tmp_path / "missing.json")
    with pytest.raises(CallerError, match="cannot read"):
        PublishedModel.load(tmp_path)


def test_every_scale_that_a_circuit_can_have_is_taken(published: PublishedModel) -> None:
    bits = next(m.le for m in Numbers.model_fields["weights"].metadata if hasattr(m, "le"))
    fields = published.model_dump() | {"fractional_bits": bits}
    assert PublishedModel.model_validate(fields).fractional_bits == bits
