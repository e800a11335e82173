"""The documents of a round folder. docs/protocol.md says what each is for, and what is checked of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from eth_utils.crypto import keccak
from pydantic import Field, model_validator

from fedproof.circuits import AverageSpec
from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment
from fedproof.errors import CallerError
from fedproof.exchange.fields import (
    Address,
    Digest,
    Hash,
    Number,
    Points,
    Signature,
    document_hash,
    from_text,
    to_bytes,
    to_text,
)
from fedproof.exchange.keys import verifying_key_digest
from fedproof.exchange.updates import UpdatePackage
from fedproof.rounds.vectors import ModelVector, training_spec

_ID_PREFIX = b"Fedproof model of round folders, version 1"
#: As many as a hub takes; also what one folder can make a reader do.
MAX_TRAINERS, MAX_STEPS, MAX_PATH = 1000, 1000, 64


class CircuitRef(Strict):
    """A compiled circuit, by what can be compared: whoever checks a round compiles it again."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]*$")
    key: str = Field(description="hash of what ezkl was given, with its version and the SRS")
    verifying_key: Digest = Field(description="SHA-256 of the verifying key; of those of all segments")
    srs_digest: str
    logrows: int = Field(ge=6, le=24)
    development: bool = Field(description="made with a development SRS, whose maker can forge proofs")

    @classmethod
    def of(cls, circuit: Circuit) -> CircuitRef:
        """Describe a circuit."""
        return cls(
            name=circuit.name,
            key=circuit.manifest.key,
            verifying_key=verifying_key_digest(circuit),
            srs_digest=circuit.manifest.srs_digest,
            logrows=circuit.manifest.costs.logrows,
            development=circuit.manifest.development,
        )


class OfflineModel(Strict):
    """What is the same in all rounds of a model without a chain. Its hash is the model's id.

    Whoever knows the id knows the circuits, the first weights (by commitment) and whose signature counts.
    """

    format: Literal[1] = 1
    owner: Address = Field(description="who opens and closes rounds")
    training: CircuitRef
    average: CircuitRef
    max_steps: int = Field(ge=1, le=MAX_STEPS, description="most steps of a trainer in a round")
    genesis: Points = Field(description="pure commitment of the first model, salt included")

    @classmethod
    def of(
        cls,
        training: Circuit,
        average: Circuit,
        genesis: ModelVector,
        owner: str,
        *,
        max_steps: int | None = None,
    ) -> OfflineModel:
        """Describe a model that starts at ``genesis``.

        Raises :class:`CallerError` if the circuits do not belong together, or ``max_steps`` is more than the
        average holds.
        """
        training_spec(training)
        spec = average.manifest.spec
        if not isinstance(spec, AverageSpec) or spec.of != training.name:
            raise CallerError(f"{average.name!r} is not the average of {training.name!r}")
        if (max_steps or 1) > spec.steps:
            raise CallerError(f"{max_steps} steps a round; {average.name!r} holds updates of {spec.steps}")
        return cls(
            owner=owner,
            training=CircuitRef.of(training),
            average=CircuitRef.of(average),
            max_steps=max_steps or spec.steps,
            genesis=to_text(training.committer.pure(genesis.vector.tolist())),
        )

    @property
    def id(self) -> bytes:
        """The model's id, 32 bytes. A hub's ids are hashes of other things."""
        return keccak(_ID_PREFIX + document_hash(self))

    @property
    def genesis_points(self) -> Commitment:
        """The commitment of the first model."""
        return from_text(self.genesis)


class Registration(Strict):
    """A trainer that takes part, and the root of its batches, which it fixes by signing."""

    format: Literal[1] = 1
    model_id: Hash
    trainer: Address
    dataset_root: Hash
    batches: int = Field(ge=1, description="as told by the trainer: nobody relies on it")
    signature: Signature


class Base(Strict):
    """The model that a round trains from."""

    round: Number = Field(description="which round made it; 0: the genesis")
    model_hash: Hash
    content: Digest = Field(description="SHA-256 of base.json")


class RoundPlan(Strict):
    """``round.json``: what a round is about, signed by the model's owner before anyone trains."""

    format: Literal[1] = 1
    model: OfflineModel
    model_id: Hash
    number: Number
    base: Base
    trainers: tuple[Registration, ...] = Field(min_length=1, max_length=MAX_TRAINERS)
    min_trainers: int = Field(ge=1, le=MAX_TRAINERS)
    signature: Signature

    @model_validator(mode="after")
    def _in_order(self) -> RoundPlan:
        addresses = [r.trainer.lower() for r in self.trainers]
        if any(a >= b for a, b in pairwise(addresses)):
            raise ValueError("trainers must be in ascending order of their addresses, each once")
        if self.min_trainers > len(self.trainers):
            raise ValueError(f"{self.min_trainers} trainers are needed, {len(self.trainers)} take part")
        if self.base.round >= self.number:
            raise ValueError(f"round {self.number} cannot start from round {self.base.round}")
        return self

    @property
    def id_bytes(self) -> bytes:
        """The model id."""
        return to_bytes(self.model_id)

    @property
    def digest(self) -> bytes:
        """Hash of the plan without its signature."""
        return document_hash(self)

    def registration(self, trainer: str) -> Registration | None:
        """Return the registration of a trainer, or None."""
        return next((r for r in self.trainers if r.trainer == trainer), None)


class SignedCommitment(Strict):
    """``commitment.json``: a trainer's word for its steps, given before it shows them."""

    format: Literal[1] = 1
    model_id: Hash
    round: Number
    trainer: Address
    plan: Hash = Field(description="hash of the plan that the trainer saw")
    digest: Hash = Field(description="commit_digest of batches and steps, as on a hub")
    signature: Signature


class Submission(Strict):
    """``submission.json``: what opens a commitment. Step i is proven by ``step{i}.proof.json`` beside it."""

    format: Literal[1] = 1
    model_id: Hash
    round: Number
    trainer: Address
    nonce: Hash
    paths: tuple[tuple[Hash, ...], ...] = Field(
        min_length=1, max_length=MAX_STEPS, description="Merkle path of each step's batch"
    )
    update: UpdatePackage

    @model_validator(mode="after")
    def _short_paths(self) -> Submission:
        if any(len(path) > MAX_PATH for path in self.paths):
            raise ValueError(f"a path has at most {MAX_PATH} hashes")
        return self


class Share(Strict):
    """A trainer's part in an average."""

    trainer: Address
    steps: int = Field(ge=1)
    samples: int = Field(ge=1)
    weight: int = Field(ge=0)


class LeftOut(Strict):
    """A trainer that does not count, and why: the owner's word, which nothing proves."""

    trainer: Address
    reason: str = Field(min_length=1, max_length=500)


class RoundResult(Strict):
    """``result.json``: who counts how much, and the new model; signed by the model's owner."""

    format: Literal[1] = 1
    model_id: Hash
    round: Number
    plan: Hash
    included: tuple[Share, ...] = Field(min_length=1, max_length=MAX_TRAINERS)
    left_out: tuple[LeftOut, ...] = Field(default=(), max_length=MAX_TRAINERS)
    model_hash: Hash
    signature: Signature

    @property
    def digest(self) -> bytes:
        """Hash of the result without its signature."""
        return document_hash(self)
