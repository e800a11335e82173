"""A model as it is published: a file that anyone can check against the registry on Ethereum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from fedproof.chain.digests import model_hash
from fedproof.chain.registry import ModelRecord, RecordStatus, RegistryClient
from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.commitments import Committer
from fedproof.documents import read_document
from fedproof.errors import CallerError, InvalidProof
from fedproof.files import write_whole
from fedproof.rounds.vectors import ModelVector
from fedproof.srs import Srs

#: What int64 holds: a vector is computed with, not only committed to.
Element = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]


class WrongModel(InvalidProof):
    """A model file is not the model whose hash stands in the registry."""


class PublishedModel(Strict):
    """The vector of a model and what its hash depends on. Everything here is public."""

    format: Literal[1] = 1
    circuit: str
    logrows: int = Field(ge=6, le=24)
    srs_digest: str
    fractional_bits: int = Field(ge=0, le=48, description="a parameter is vector[i] / 2**fractional_bits")
    parameters: int = Field(ge=1, description="length of the vector without its salt")
    vector: tuple[Element, ...]
    model_id: str = Field(pattern="^0x[0-9a-f]{64}$", description="32 bytes in hex")
    round: int = Field(ge=0, lt=2**64, description="0 for the model a registration starts from")
    registry: str | None = Field(default=None, description="address of the registry on L1")
    l1_chain_id: int | None = None

    @model_validator(mode="after")
    def _holds_its_parameters(self) -> PublishedModel:
        if self.parameters > len(self.vector):
            raise ValueError(f"{self.parameters} parameters do not fit a vector of {len(self.vector)}")
        return self

    @classmethod
    def of(
        cls,
        circuit: Circuit,
        model: ModelVector,
        model_id: bytes,
        round_number: int,
        *,
        registry: str | None = None,
        l1_chain_id: int | None = None,
    ) -> PublishedModel:
        """Describe the model that ``round_number`` produced."""
        return cls(
            circuit=circuit.name,
            logrows=circuit.manifest.costs.logrows,
            srs_digest=circuit.manifest.srs_digest,
            fractional_bits=model.fractional_bits,
            parameters=len(model.parameters),
            vector=tuple(int(v) for v in model.vector),
            model_id="0x" + model_id.hex(),
            round=round_number,
            registry=registry,
            l1_chain_id=l1_chain_id,
        )

    @property
    def id_bytes(self) -> bytes:
        """The model id."""
        return bytes.fromhex(self.model_id.removeprefix("0x"))

    @property
    def model(self) -> ModelVector:
        """The vector, split into parameters and salt."""
        vector = np.array(self.vector, dtype=np.int64)
        return ModelVector(vector[: self.parameters], vector[self.parameters :], self.fractional_bits)

    def save(self, path: Path) -> None:
        """Write the file."""
        write_whole(path, self.model_dump_json() + "\n")

    @classmethod
    def load(cls, path: Path) -> PublishedModel:
        """Read the file; raises :class:`CallerError` if it is missing or not a model."""
        return read_document(cls, path, "model")

    def hash(self, srs: Srs) -> bytes:
        """Recompute the model's hash from the vector alone: its commitment under ``srs``, id and round."""
        if srs.digest != self.srs_digest:
            raise CallerError(
                f"the model is committed under SRS {self.srs_digest}, this one is {srs.digest}",
                hint="import the SRS that the model names",
            )
        commitment = Committer(srs.path, self.logrows).pure(list(self.vector))
        return model_hash(self.id_bytes, self.round, commitment)


def verify_model(published: PublishedModel, srs: Srs, registry: RegistryClient) -> ModelRecord:
    """Check the vector of a model file against the registry on L1; return the registry's record.

    What the hash does not cover is taken from the file as it stands: where the parameters end and the salt
    begins, and how many bits are fractional. The circuit's declaration says both.

    Raises :class:`WrongModel` if the registry has another hash for that round, none, or a frozen one.
    """
    computed = published.hash(srs)
    record = registry.record_of(published.id_bytes, published.round)
    if record.status is RecordStatus.NONE:
        raise WrongModel(
            f"the registry has no hash for round {published.round} of model {published.model_id}"
        )
    if record.status is RecordStatus.FROZEN:
        raise WrongModel(f"round {published.round} is frozen: routes disagreed about its hash")
    if record.model_hash != computed:
        raise WrongModel(
            f"these weights have the hash 0x{computed.hex()}, the registry has 0x{record.model_hash.hex()}"
        )
    return record
