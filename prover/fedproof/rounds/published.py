"""A model as it is published: a file that anyone can check against the registry on Ethereum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from fedproof.chain.digests import model_hash
from fedproof.chain.registry import ModelRecord, RecordStatus, RegistryClient
from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.commitments import Committer
from fedproof.errors import CallerError, InvalidProof
from fedproof.files import write_whole
from fedproof.rounds.vectors import ModelVector
from fedproof.srs import Srs


class WrongModel(InvalidProof):
    """A model file is not the model whose hash stands in the registry."""


class PublishedModel(Strict):
    """The vector of a model and what its hash depends on. Everything here is public."""

    format: int = 1
    circuit: str
    logrows: int
    srs_digest: str
    fractional_bits: int = Field(description="a parameter is vector[i] / 2**fractional_bits")
    parameters: int = Field(description="length of the vector without its salt")
    vector: tuple[int, ...]
    model_id: str = Field(description="32 bytes in hex")
    round: int = Field(description="0 for the model a registration starts from")
    registry: str | None = Field(default=None, description="address of the registry on L1")
    l1_chain_id: int | None = None

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
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError as e:
            raise CallerError(f"no model file {path}") from e
        except (OSError, UnicodeDecodeError) as e:
            raise CallerError(f"cannot read {path}: {e}") from e
        except ValidationError as e:
            problem = e.errors()[0]
            where = ".".join(str(p) for p in problem["loc"])
            raise CallerError(f"{path} is not a model file: {where or 'file'}: {problem['msg']}") from e

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
    """Check a model file against the registry on L1, trusting nothing in the file; return the record.

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
