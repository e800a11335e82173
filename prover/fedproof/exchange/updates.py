"""An update on its way: a small document, and the vector in a content store. Recommitted before use."""

from __future__ import annotations

from typing import Literal

import numpy as np
from eth_utils.address import to_checksum_address
from pydantic import Field, ValidationError

from fedproof.circuits.spec import Strict
from fedproof.commitments import Commitment, CommitmentMismatch, Committer
from fedproof.errors import InvalidProof
from fedproof.exchange.fields import Address, Digest, Hash, Number, Points, from_text, to_hex, to_text
from fedproof.exchange.store import ContentStore
from fedproof.exchange.vectors import pack, packed_bytes, unpack
from fedproof.lowering.ir import IntArray


class UpdatePackage(Strict):
    """What a trainer says about its update. Nothing here is relied on before :func:`receive_update`."""

    format: Literal[1] = 1
    model_id: Hash
    round: Number
    trainer: Address
    length: int = Field(ge=1, le=2**32, description="elements of the vector, salt included")
    content: Digest = Field(description="SHA-256 of the packed vector")
    commitment: Points = Field(description="pure commitment of the vector")

    @property
    def points(self) -> Commitment:
        """The commitment."""
        return from_text(self.commitment)


def send_update(
    store: ContentStore,
    update: IntArray,
    commitment: Commitment,
    *,
    model_id: bytes,
    round_number: int,
    trainer: str,
) -> UpdatePackage:
    """Put an update (D + S,) into ``store``; return the package that leads to it. ``commitment`` is pure."""
    vector = np.asarray(update, dtype=np.int64)
    return UpdatePackage(
        model_id=to_hex(model_id),
        round=round_number,
        trainer=to_checksum_address(trainer),
        length=len(vector),
        content=store.put(pack(vector)),
        commitment=to_text(commitment),
    )


def receive_update(
    store: ContentStore,
    package: UpdatePackage,
    committer: Committer,
    *,
    length: int,
    commitment: Commitment | None = None,
) -> IntArray:
    """Fetch an update and commit to it again; return it (D + S,).

    ``length`` is that of the model's vectors; ``commitment`` is the pure commitment that was proven, without
    it the package's is compared, which anyone can write. Raises :class:`CommitmentMismatch` naming the
    trainer if the vector is another, :class:`ContentMismatch` if its bytes are, :class:`InvalidProof` if
    package and proof differ, :class:`ContentMissing`.
    """
    what = f"update of {package.trainer} in round {package.round}"
    if package.length != length:
        raise InvalidProof(f"{what}: {package.length} elements, the model has {length}")
    if commitment is not None and package.points != tuple(commitment):
        raise CommitmentMismatch(f"{what}: the package names another commitment than was proven")
    data = store.get(package.content, max_bytes=packed_bytes(length))
    vector = unpack(data, length)
    committer.check_opening(vector.tolist(), commitment or package.points, what=what)
    return vector


class UpdateExchange:
    """Where trainers of hub rounds leave their updates, and aggregators find them.

    A package lies under a name that follows from model, round and trainer. Whoever can write to the store can
    exchange it: what it leads to is compared with the commitment that the hub holds.
    """

    def __init__(self, store: ContentStore) -> None:
        self.store = store

    def publish(
        self, update: IntArray, commitment: Commitment, *, model_id: bytes, round_number: int, trainer: str
    ) -> UpdatePackage:
        """Leave an update (D + S,) with its pure commitment."""
        package = send_update(
            self.store, update, commitment, model_id=model_id, round_number=round_number, trainer=trainer
        )
        self.store.post(_name(model_id, round_number, trainer), package.model_dump_json(indent=2).encode())
        return package

    def package(self, model_id: bytes, round_number: int, trainer: str) -> UpdatePackage:
        """Return what a trainer left; raises :class:`ContentMissing`, :class:`InvalidProof` if another's."""
        name = _name(model_id, round_number, trainer)
        text = self.store.look_up(name)
        try:
            package = UpdatePackage.model_validate_json(text)
        except ValidationError as error:
            raise InvalidProof(f"{self.store}: {name} is no update: {error.errors()[0]['msg']}") from error
        stated = (package.model_id, package.round, package.trainer)
        if stated != (to_hex(model_id), round_number, to_checksum_address(trainer)):
            raise InvalidProof(f"{self.store}: {name} is the update of {stated[2]} in round {stated[1]}")
        return package

    def receive(
        self,
        committer: Committer,
        commitment: Commitment,
        *,
        length: int,
        model_id: bytes,
        round_number: int,
        trainer: str,
    ) -> IntArray:
        """Fetch and recommit to a trainer's update; raises as :func:`receive_update`."""
        package = self.package(model_id, round_number, trainer)
        return receive_update(self.store, package, committer, length=length, commitment=commitment)


def _name(model_id: bytes, round_number: int, trainer: str) -> str:
    return f"{model_id.hex()}/round{round_number}/{to_checksum_address(trainer)}.json"
