"""What a run record holds: the shape of ``build/demo/run.json``.

Seconds are wall-clock seconds, gas is gas used (not the limit), sizes are bytes, accuracies are fractions of
the held-out set between 0 and 1. Every named key is always written; docs/run-record.md describes them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from fedproof.errors import CallerError
from fedproof.files import write_whole

Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Loss = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class RecordError(CallerError):
    """A run record is missing, unreadable, or not of the shape described here."""


class _Part(BaseModel):
    """Common rules: no unknown key, no NaN, nothing changed after it was checked."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


class Versions(_Part):
    """What was run. ``None`` means that it was not found, or not used."""

    fedproof: Name
    python: Name
    ezkl: Name | None = None
    torch: Name | None = None
    onnx: Name | None = None
    onnxruntime: Name | None = None
    numpy: Name | None = None
    web3: Name | None = None
    solc: Name | None = None
    anvil: Name | None = None
    node: Name | None = None
    commit: Name | None = Field(
        default=None, description="git commit of the project, with -dirty appended when files differ from it"
    )


class Host(_Part):
    """The machine, without anything that names it."""

    cpu: Name
    cores: Positive = Field(description="logical cores this process may use")
    ram_bytes: Positive
    system: Name = Field(description="kernel and its release")
    machine: Name = Field(description="processor architecture")


class Dataset(_Part):
    """The data behind a run, in samples."""

    name: Name
    train_samples: Positive
    test_samples: Positive


class Network(_Part):
    """Where the contracts ran."""

    name: Name
    devnet: bool
    l2_chain_id: Positive
    l1_chain_id: Positive
    emulated: list[Name] = Field(default=[], description="each part that is an emulation, and of what")


class Srs(_Part):
    """The structured reference string all the circuits share."""

    digest: Name = Field(description="digest of the SRS file, as the circuits' manifests name it")
    logrows: Positive
    development: bool = Field(
        description="true: its secret is known or unaudited; proves nothing outside a devnet"
    )


class CircuitFacts(_Part):
    """Size and one-time cost of a circuit."""

    name: Name
    kind: Literal["step", "aggregate"]
    rows: Positive
    logrows: Positive
    proving_key_bytes: Positive
    proof_bytes: Positive
    verifier_bytes: Positive = Field(description="deployed bytecode of the verifier")
    verifying_key_bytes: Count | None = None
    cells: Count | None = None
    compile_s: Seconds | None = Field(
        default=None, description="compile and key generation; null if it came from the store"
    )


class StepProof(_Part):
    """One proven training step."""

    circuit: Name
    prove_s: Seconds
    proof_bytes: Positive
    witness_s: Seconds | None = None


class TrainerRound(_Part):
    """What one trainer did in a round."""

    address: Address
    samples: Positive = Field(description="proven samples: steps times batch size")
    steps: Annotated[list[StepProof], Field(min_length=1)]
    commit_gas: Positive
    submit_gas: Positive


class AggregateProof(_Part):
    """The proven aggregation of a round."""

    circuit: Name
    prove_s: Seconds
    proof_bytes: Positive | None = None
    witness_s: Seconds | None = None


class L1Delivery(_Part):
    """The arrival of a model hash in the registry on L1."""

    route: Name
    tx: Hash
    gas: Positive = Field(description="of the transaction on L1 that wrote the registry")
    model_hash: Hash = Field(description="as read back from the registry")


class StageSeconds(_Part):
    """Wall-clock seconds of a round's stages; what ran in parallel counts once."""

    train: Seconds = 0.0
    prove: Seconds = 0.0
    commit: Seconds = 0.0
    submit: Seconds = 0.0
    aggregate: Seconds = 0.0
    finalize: Seconds = 0.0
    relay: Seconds = 0.0


class SetupSeconds(_Part):
    """Wall-clock seconds spent once, before the first round."""

    data: Seconds = 0.0
    circuits: Seconds = 0.0
    devnet: Seconds = 0.0
    deploy: Seconds = 0.0


class Round(_Part):
    """One finished round."""

    round: Positive
    trainers: Annotated[list[TrainerRound], Field(min_length=1)]
    aggregate: AggregateProof
    finalize_gas: Positive
    model_hash: Hash = Field(description="as the hub on L2 finalized it")
    l1: L1Delivery
    accuracy: Fraction
    accuracy_float: Fraction = Field(description="same batches and averaging in floating point")
    loss: Loss | None = Field(default=None, description="of the held-out set; null in older records")
    loss_float: Loss | None = Field(default=None, description="likewise, in floating point")
    seconds: StageSeconds = StageSeconds()

    @property
    def matches(self) -> bool:
        """Whether L1 holds the hash that L2 finalized."""
        return self.model_hash == self.l1.model_hash

    @property
    def samples(self) -> int:
        """Proven samples of all trainers together."""
        return sum(trainer.samples for trainer in self.trainers)


class Transaction(_Part):
    """One transaction; ``round`` is null for what happens once (deployments, configuration)."""

    chain: Literal["l1", "l2"]
    purpose: Name = Field(
        description="deploy, configure, register, open, commit, submit, finalize, relay, deliver, …"
    )
    label: str = Field(default="", max_length=200, description="the contract deployed, the trainer, …")
    round: Positive | None = None
    tx: Hash
    gas: Positive


class FinalCheck(_Part):
    """The final weights, checked against L1 by someone who holds nothing else."""

    model_hash: Hash = Field(description="recomputed from the weights")
    registry_hash: Hash = Field(description="read from the registry on L1")
    seconds: Seconds = 0.0

    @property
    def matches(self) -> bool:
        """Whether the weights are the ones L1 records."""
        return self.model_hash == self.registry_hash


class RunRecord(_Part):
    """A whole run."""

    format: Literal["fedproof-run/1"] = "fedproof-run/1"
    started: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    versions: Versions
    host: Host
    model: Name
    parameters: Positive = Field(description="weights and biases of the model, salts not counted")
    trainers: Positive
    dataset: Dataset
    network: Network
    srs: Srs
    circuits: Annotated[list[CircuitFacts], Field(min_length=1)]
    accuracy_before: Fraction = Field(description="before round 1")
    accuracy_float_before: Fraction
    loss_before: Loss | None = None
    loss_float_before: Loss | None = None
    setup_seconds: SetupSeconds = SetupSeconds()
    rounds: list[Round]
    transactions: list[Transaction] = []
    final_check: FinalCheck | None = None
    notes: list[Name] = Field(default=[], description="what a reader must know before trusting the numbers")
    error: str | None = Field(default=None, description="why the run stopped early; null if it did not")
    total_s: Seconds

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        numbers = [entry.round for entry in self.rounds]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"rounds are numbered {numbers}, expected 1, 2, 3, … in order")
        for entry in self.rounds:
            addresses = [trainer.address.lower() for trainer in entry.trainers]
            if len(addresses) > self.trainers:
                raise ValueError(f"round {entry.round} has {len(addresses)} trainers of {self.trainers}")
            if len(set(addresses)) != len(addresses):
                raise ValueError(f"round {entry.round} names a trainer twice: {sorted(addresses)}")
        known = {circuit.name for circuit in self.circuits}
        used = {step.circuit for r in self.rounds for t in r.trainers for step in t.steps}
        used |= {entry.aggregate.circuit for entry in self.rounds}
        if missing := sorted(used - known):
            raise ValueError(
                f"circuits {missing} are used in the rounds but not described; described: {sorted(known)}"
            )
        return self

    @property
    def complete(self) -> bool:
        """Whether every round reached L1 with the hash that L2 finalized, and nothing stopped the run."""
        checked = self.final_check is None or self.final_check.matches
        return self.error is None and bool(self.rounds) and checked and all(r.matches for r in self.rounds)

    @property
    def proofs(self) -> int:
        """Number of proofs verified on L2: every training step and every aggregation."""
        return sum(1 + sum(len(t.steps) for t in entry.trainers) for entry in self.rounds)

    def write(self, path: Path) -> None:
        """Write the record as JSON, whole or not at all.

        Raises:
            TerminalError: the file cannot be written.
        """
        write_whole(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read a record and check it.

        Raises:
            RecordError: there is no such file, or it is not a run record; the message names the key.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"cannot read the run record {path}: {error}") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "the whole file"
            raise RecordError(
                f"{path} is not a run record: {where}: {first['msg']} ({error.error_count()} problems)",
                hint="docs/run-record.md describes the file",
            ) from error
