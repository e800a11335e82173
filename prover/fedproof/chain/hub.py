"""The aggregation hub on the L2: every action and view, typed.

Vectors are pure commitments unless said otherwise: tuples of points (x, y), one for each column. Model ids,
digests, roots and hashes are 32 raw bytes; amounts are in wei, periods and times in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from fedproof.chain.client import ChainClient, Receipt, checksum
from fedproof.chain.digests import GuardianDomain, Points, guardian_signatures
from fedproof.commitments.point import Point
from fedproof.errors import CallerError, TerminalError

Vector = tuple[Point, ...]


class Phase(IntEnum):
    """Where a round stands. EXPIRED: a deadline passed and it waits for ``cancel``."""

    NONE = 0
    COMMIT = 1
    SUBMIT = 2
    FINALIZE = 3
    EXPIRED = 4
    FINALIZED = 5
    CANCELLED = 6
    ROLLED_BACK = 7


@dataclass(frozen=True)
class ModelConfig:
    """Everything that is fixed when a model is registered; see ModelConfig in IFedproofHub.sol.

    ``genesis`` is P(M₀), ``ones`` P(1), ``tail`` T. ``weight_bits`` is t: weights sum to 2^t. ``stateful``:
    steps carry an optimiser's state, from zero in each round.
    """

    genesis: Points
    ones: Points
    tail: tuple[int, int]
    batch_columns: int
    step_verifier: str
    aggregate_verifier: str
    samples_per_step: int
    guardians: Sequence[str]
    guardian_threshold: int
    weight_bits: int = 16
    min_trainers: int = 1
    max_trainers: int = 1000
    max_steps: int = 64
    commit_period: int = 3600
    submit_period: int = 3600
    finalize_period: int = 3600
    bond: int = 0
    stateful: bool = False

    def as_argument(self) -> tuple[object, ...]:
        """The struct as the hub takes it."""
        return (
            _points(self.genesis),
            _points(self.ones),
            (self.tail[0], self.tail[1]),
            len(self.genesis),
            self.batch_columns,
            checksum(self.step_verifier),
            checksum(self.aggregate_verifier),
            self.stateful,
            self.samples_per_step,
            self.weight_bits,
            self.min_trainers,
            self.max_trainers,
            self.max_steps,
            self.commit_period,
            self.submit_period,
            self.finalize_period,
            [checksum(guardian) for guardian in self.guardians],
            self.guardian_threshold,
            self.bond,
        )


@dataclass(frozen=True)
class StepProof:
    """One training step to submit: proof bytes, and the Merkle path of its batch."""

    proof: bytes
    batch_path: Sequence[bytes]


@dataclass(frozen=True)
class ModelState:
    """A model as the hub holds it. ``current`` is P(M) of the newest model, from ``current_round``."""

    owner: str
    trainer_count: int
    latest_round: int
    current_round: int
    current: Vector
    config: ModelConfig


@dataclass(frozen=True)
class RoundState:
    """A round as the hub holds it. ``base``: P(M) it trains from; ``result``: P(M'), empty till finalized."""

    number: int
    phase: Phase
    parent: int
    commit_ends_at: int
    submit_ends_at: int
    finalize_ends_at: int
    committed: int
    submitted: int
    left_out: int
    total_steps: int
    finalizer: str
    model_hash: bytes
    base: Vector
    result: Vector


@dataclass(frozen=True)
class TrainerState:
    """A trainer of a model. ``dataset_from`` is the first round its dataset serves, 0 without one."""

    admitted: bool
    dataset_root: bytes
    dataset_from: int


@dataclass(frozen=True)
class Submission:
    """An accepted submission; ``update`` is P(u)."""

    trainer: str
    steps: int
    left_out: bool
    samples: int
    update: Vector


class HubClient:
    """The hub at ``address``, acting as the client's account. Actions raise as ChainClient.send does."""

    def __init__(self, client: ChainClient, address: str, abi: list[dict[str, Any]]) -> None:
        self.client = client
        self.abi = abi
        self.contract = client.at(address, abi)

    @property
    def address(self) -> str:
        """Address of the hub."""
        return str(self.contract.address)

    @property
    def domain(self) -> GuardianDomain:
        """What guardians' signatures are bound to."""
        return GuardianDomain(self.client.chain.chain_id, self.address)

    def acting_as(self, account: LocalAccount) -> HubClient:
        """The same hub, acting as ``account``."""
        return HubClient(self.client.with_account(account), self.address, self.abi)

    # models and trainers

    def register_model(self, config: ModelConfig) -> tuple[bytes, Receipt]:
        """Register a model owned by the account; its id and the receipt."""
        receipt = self.client.send(self.contract.functions.registerModel(config.as_argument()))
        return bytes(self._event("ModelRegistered", receipt)["modelId"]), receipt

    def admit(self, model_id: bytes, trainer: str) -> Receipt:
        """Let ``trainer`` take part in the model's rounds. Owner only."""
        return self.client.send(self.contract.functions.admitTrainer(model_id, checksum(trainer)))

    def remove(self, model_id: bytes, trainer: str) -> Receipt:
        """Take ``trainer`` out of later rounds. Owner only."""
        return self.client.send(self.contract.functions.removeTrainer(model_id, checksum(trainer)))

    def register_dataset(self, model_id: bytes, root: bytes) -> Receipt:
        """Register the Merkle root over the account's batches, for rounds opened from now on."""
        return self.client.send(self.contract.functions.registerDataset(model_id, root))

    # rounds

    def open_round(self, model_id: bytes) -> tuple[int, Receipt]:
        """Open the next round; its number and the receipt. By the owner or an admitted trainer."""
        receipt = self.client.send(self.contract.functions.openRound(model_id))
        return int(self._event("RoundOpened", receipt)["round"]), receipt

    def commit(
        self, model_id: bytes, round_number: int, digest: bytes, *, bond: int | None = None
    ) -> Receipt:
        """Commit to the steps behind ``digest``; ``bond`` is looked up when not given."""
        value = self.model(model_id).config.bond if bond is None else bond
        function = self.contract.functions.commit(model_id, round_number, digest)
        return self.client.send(function, value=value)

    def submit(
        self,
        model_id: bytes,
        round_number: int,
        nonce: bytes,
        steps: Sequence[StepProof],
        vka: Sequence[bytes] = (),
    ) -> Receipt:
        """Reveal and prove the account's steps. ``vka``: words of a reusable verifier's key, else empty."""
        proofs = [(step.proof, list(step.batch_path)) for step in steps]
        function = self.contract.functions.submit(model_id, round_number, nonce, proofs, list(vka))
        return self.client.send(function)

    def finalize(
        self, model_id: bytes, round_number: int, proof: bytes, vka: Sequence[bytes] = ()
    ) -> tuple[bytes, Receipt]:
        """Move the model by the weighted average; the new model's hash and the receipt. By anyone."""
        receipt = self.client.send(self.contract.functions.finalize(model_id, round_number, proof, list(vka)))
        return bytes(self._event("RoundFinalized", receipt)["modelHash"]), receipt

    def cancel(self, model_id: bytes, round_number: int) -> Receipt:
        """End a round that cannot be finalized any more. By anyone."""
        return self.client.send(self.contract.functions.cancel(model_id, round_number))

    # guardians

    def leave_out(
        self, model_id: bytes, round_number: int, trainer: str, reason: str, signatures: Sequence[bytes]
    ) -> Receipt:
        """Leave a submission out with guardians' signatures, ascending by signer."""
        function = self.contract.functions.leaveOut(
            model_id, round_number, checksum(trainer), reason, list(signatures)
        )
        return self.client.send(function)

    def roll_back(self, model_id: bytes, round_number: int, signatures: Sequence[bytes]) -> Receipt:
        """Undo the newest finalized round with guardians' signatures, ascending by signer."""
        return self.client.send(self.contract.functions.rollBack(model_id, round_number, list(signatures)))

    def sign_leave_out(
        self,
        model_id: bytes,
        round_number: int,
        trainer: str,
        reason: str,
        guardians: Sequence[LocalAccount],
    ) -> list[bytes]:
        """The signatures of ``guardians`` that :meth:`leave_out` takes."""
        message = self.domain.leave_out(model_id, round_number, checksum(trainer), reason)
        return guardian_signatures(message, guardians)

    def sign_roll_back(
        self, model_id: bytes, round_number: int, guardians: Sequence[LocalAccount]
    ) -> list[bytes]:
        """The signatures of ``guardians`` that :meth:`roll_back` takes."""
        return guardian_signatures(self.domain.roll_back(model_id, round_number), guardians)

    # bonds

    def reclaim_bond(self, model_id: bytes, round_number: int, trainer: str) -> Receipt:
        """Release the bond of a trainer that had not submitted to a cancelled round. By anyone."""
        return self.client.send(
            self.contract.functions.reclaimBond(model_id, round_number, checksum(trainer))
        )

    def withdraw(self) -> tuple[int, Receipt]:
        """Have the account paid what it is owed; the amount and the receipt."""
        receipt = self.client.send(self.contract.functions.withdraw())
        return int(self._event("Withdrawn", receipt)["amount"]), receipt

    def owed_to(self, account: str) -> int:
        """What :meth:`withdraw` would pay ``account``."""
        return int(self.client.call(self.contract.functions.owedTo(checksum(account))))

    # views

    def model(self, model_id: bytes) -> ModelState:
        """The model's state. Raises ContractRejected (UnknownModel) when there is none."""
        view = self.client.call(self.contract.functions.modelOf(model_id))
        owner, trainers, latest, current_round, current, config = view
        return ModelState(owner, trainers, latest, current_round, _vector(current), _config(config))

    def round(self, model_id: bytes, round_number: int) -> RoundState:
        """The state of one round."""
        view = self.client.call(self.contract.functions.roundOf(model_id, round_number))
        phase, *middle, base, result = view
        parent, commit_ends, submit_ends, finalize_ends, committed, submitted, *rest = middle
        left_out, total_steps, finalizer, model_hash = rest
        return RoundState(
            number=round_number,
            phase=Phase(phase),
            parent=parent,
            commit_ends_at=commit_ends,
            submit_ends_at=submit_ends,
            finalize_ends_at=finalize_ends,
            committed=committed,
            submitted=submitted,
            left_out=left_out,
            total_steps=total_steps,
            finalizer=finalizer,
            model_hash=bytes(model_hash),
            base=_vector(base),
            result=_vector(result),
        )

    def phase(self, model_id: bytes, round_number: int) -> Phase:
        """Where a round stands now."""
        return Phase(self.client.call(self.contract.functions.phaseOf(model_id, round_number)))

    def latest_round(self, model_id: bytes) -> int:
        """Number of the newest round opened, 0 when there is none."""
        return int(self.client.call(self.contract.functions.latestRoundOf(model_id)))

    def trainer(self, model_id: bytes, account: str) -> TrainerState:
        """What the hub knows about a trainer."""
        admitted, root, since = self.client.call(
            self.contract.functions.trainerOf(model_id, checksum(account))
        )
        return TrainerState(admitted, bytes(root), since)

    def commit_of(self, model_id: bytes, round_number: int, account: str) -> bytes | None:
        """The digest ``account`` committed to, or None."""
        found = self.client.call(self.contract.functions.commitOf(model_id, round_number, checksum(account)))
        return bytes(found) if any(found) else None

    def submissions(self, model_id: bytes, round_number: int) -> list[Submission]:
        """The round's submissions in order of arrival, left-out ones included."""
        found = self.client.call(self.contract.functions.submissionsOf(model_id, round_number))
        return [
            Submission(trainer, steps, left_out, samples, _vector(update))
            for trainer, steps, left_out, samples, update in found
        ]

    def weights(self, model_id: bytes, round_number: int) -> dict[str, int]:
        """Weight of each trainer that submitted, in order, 0 if left out; they sum to 2^weight_bits."""
        values = self.client.call(self.contract.functions.weightsOf(model_id, round_number))
        trainers = [item.trainer for item in self.submissions(model_id, round_number)]
        return dict(zip(trainers, map(int, values), strict=True))

    def weighted_sum(self, model_id: bytes, round_number: int) -> Vector:
        """P(S) over the included submissions."""
        return _vector(self.client.call(self.contract.functions.weightedSumOf(model_id, round_number)))

    def model_hash(self, model_id: bytes, round_number: int) -> bytes:
        """Hash of the model a finalized round produced."""
        return bytes(self.client.call(self.contract.functions.modelHashOf(model_id, round_number)))

    def is_step_used(self, model_id: bytes, commitment: bytes) -> bool:
        """Whether a step was used; ``commitment`` is digests.points_hash of its pure commitment."""
        return bool(self.client.call(self.contract.functions.isStepUsed(model_id, commitment)))

    def _event(self, name: str, receipt: Receipt) -> dict[str, Any]:
        found = self.client.events(self.contract, name, receipt)
        if len(found) != 1:
            raise TerminalError(f"expected one {name} event in {receipt.tx}, found {len(found)}")
        return dict(found[0]["args"])


def _points(vector: Points) -> list[tuple[int, int]]:
    if not vector:
        raise CallerError("a vector needs at least one point")
    return [(x, y) for x, y in vector]


def _vector(points: Sequence[tuple[int, int]]) -> Vector:
    return tuple(Point(int(x), int(y)) for x, y in points)


def _config(fields: Sequence[Any]) -> ModelConfig:
    genesis, ones, tail, _columns, batch, step, aggregate, stateful, samples, bits, *rest = fields
    least, most, steps, commit, submit, finalize, guardians, threshold, bond = rest
    return ModelConfig(
        genesis=_vector(genesis),
        ones=_vector(ones),
        tail=Point(int(tail[0]), int(tail[1])),
        batch_columns=batch,
        step_verifier=step,
        aggregate_verifier=aggregate,
        stateful=stateful,
        samples_per_step=samples,
        weight_bits=bits,
        min_trainers=least,
        max_trainers=most,
        max_steps=steps,
        commit_period=commit,
        submit_period=submit,
        finalize_period=finalize,
        guardians=tuple(to_checksum_address(guardian) for guardian in guardians),
        guardian_threshold=threshold,
        bond=bond,
    )
