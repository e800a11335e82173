"""Updates of hub rounds in a store: whoever can write there can withhold them, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rounds"))

from tiny_circuits import circuits, tiny_srs, training

from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, CommitmentMismatch
from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange import ContentMismatch, ContentMissing, ContentStore, UpdateExchange, receive_update
from fedproof.exchange.updates import UpdatePackage
from fedproof.exchange.vectors import InvalidVector, pack

__all__ = ["circuits", "tiny_srs", "training"]

pytestmark = pytest.mark.reference

MODEL, ADA, BEA = bytes(range(32)), "0x" + "aa" * 20, "0x" + "bb" * 20


class World:
    def __init__(self, circuit: Circuit, folder: Path) -> None:
        self.committer = circuit.committer
        self.length = circuit.manifest.slot("model").length
        self.store = ContentStore(folder)
        self.exchange = UpdateExchange(self.store)
        self.folder = folder
        generator = np.random.default_rng(0)
        self.vectors = {t: generator.integers(-99, 99, self.length) for t in (ADA, BEA)}
        self.commitments: dict[str, Commitment] = {
            t: self.committer.pure(v.tolist()) for t, v in self.vectors.items()
        }
        for trainer, vector in self.vectors.items():
            self.exchange.publish(
                vector, self.commitments[trainer], model_id=MODEL, round_number=1, trainer=trainer
            )

    def receive(self, trainer: str, number: int = 1) -> np.ndarray:
        return self.exchange.receive(
            self.committer,
            self.commitments[trainer],
            length=self.length,
            model_id=MODEL,
            round_number=number,
            trainer=trainer,
        )

    def document(self, trainer: str) -> Path:
        folder = self.folder / "documents" / MODEL.hex() / "round1"
        (path,) = (p for p in folder.iterdir() if p.stem.lower() == trainer)
        return path


@pytest.fixture
def world(training: Circuit, tmp_path: Path) -> World:
    return World(training, tmp_path)


def test_an_update_arrives(world: World) -> None:
    for trainer, vector in world.vectors.items():
        assert np.array_equal(world.receive(trainer), vector)
    with pytest.raises(ContentMissing):
        world.receive(ADA, number=2)


def test_a_package_exchanged_for_another_trainers(world: World) -> None:
    world.document(ADA).write_bytes(world.document(BEA).read_bytes())
    with pytest.raises(InvalidProof, match="is the update of"):
        world.receive(ADA)


def test_a_package_that_leads_to_another_vector(world: World) -> None:
    ada, bea = (UpdatePackage.model_validate_json(world.document(t).read_text()) for t in (ADA, BEA))
    forged = ada.model_copy(update={"content": bea.content})
    world.document(ADA).write_text(forged.model_dump_json())
    with pytest.raises(CommitmentMismatch, match=f"update of {ada.trainer} in round 1"):
        world.receive(ADA)
    # With a commitment that fits it is still not what was proven.
    forged = forged.model_copy(update={"commitment": bea.commitment})
    world.document(ADA).write_text(forged.model_dump_json())
    with pytest.raises(CommitmentMismatch, match="another commitment than was proven"):
        world.receive(ADA)
    # Without a proof to compare with, all that is known is that vector and package fit.
    found = receive_update(world.store, forged, world.committer, length=world.length)
    assert np.array_equal(found, world.vectors[BEA])


def test_another_length(world: World) -> None:
    short = world.vectors[ADA][:-1]
    world.exchange.publish(
        short, world.committer.pure(short.tolist()), model_id=MODEL, round_number=1, trainer=ADA
    )
    with pytest.raises(InvalidProof, match=f"{world.length - 1} elements, the model has {world.length}"):
        world.receive(ADA)
    # Zeros at the end do not change a commitment: the length must be the model's all the same.
    package = world.exchange.package(MODEL, 1, ADA)
    longer = np.append(world.vectors[ADA], 0)
    forged = package.model_copy(update={"length": world.length, "content": world.store.put(pack(longer))})
    with pytest.raises(InvalidVector, match="expected int64 of"):
        receive_update(world.store, forged, world.committer, length=world.length)


def test_bytes_that_were_damaged(world: World) -> None:
    content = world.exchange.package(MODEL, 1, ADA).content
    (world.folder / "sha256" / content[:2] / content).write_bytes(b"")
    with pytest.raises(ContentMismatch, match=content):
        world.receive(ADA)


@pytest.mark.parametrize("text", ["", "[]", "{}", "\0"])
def test_what_is_no_package(world: World, text: str) -> None:
    world.document(ADA).write_text(text)
    with pytest.raises(InvalidProof, match="is no update"):
        world.receive(ADA)


def test_points_in_a_package_are_canonical(world: World) -> None:
    package = world.exchange.package(MODEL, 1, ADA)
    for x, y in (
        ("0x1", "0x1"),
        ("0x0001", "0x0002"),
        ("1", "2"),
        ("0X1", "0X2"),
        ("-0x1", "0x2"),
        ("zz", "0x2"),
    ):
        with pytest.raises(ValueError, match="commitment"):
            UpdatePackage.model_validate(package.model_dump() | {"commitment": [[x, y]]})
    with pytest.raises(CallerError, match="more than"):
        ContentStore(world.folder, max_bytes=10).put(b"x" * 11)
