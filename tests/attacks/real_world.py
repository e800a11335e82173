"""A devnet with the real verifiers of two circuits, and real proofs of three trainers' steps on real digits.

Every proof is made once, when a test first asks for it. The same model is registered several times, each time
taken to another stage of its first round: the same proofs serve all of them, and a test starts where its
attack belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pytest
from chain_world import rpc
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from sklearn.datasets import load_digits

from fedproof.chain.accounts import devnet_account
from fedproof.chain.client import Receipt
from fedproof.chain.deploy import ChainPair
from fedproof.chain.deployment import Deployment
from fedproof.chain.digests import commit_digest
from fedproof.chain.hub import HubClient, ModelConfig, StepProof
from fedproof.chain.reverts import ContractRejected
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment
from fedproof.lowering.ir import IntArray
from fedproof.rounds import Aggregator, Dataset, ModelVector, PreparedStep, Proof, Trainer
from fedproof.rounds.aggregator import Average, fold_weights

TRAINERS, GUARDIANS, STRANGER = (1, 2, 3), (20, 21, 22), 9
THRESHOLD, MIN_TRAINERS, MAX_STEPS = 2, 2, 2
PERIOD = 86_400
"""Seconds of each phase: long, so that only a test that wants a deadline to pass meets one."""


@dataclass
class ProvenStep:
    """A step of one trainer, its proof (made when first needed) and the path of its batch."""

    trainer: Trainer
    prepared: PreparedStep
    path: list[bytes]

    @cached_property
    def proof(self) -> Proof:
        return self.trainer.prove(self.prepared)

    @property
    def points(self) -> list[tuple[int, int]]:
        """Batch and step points, as a commit digest lists them; known before there is a proof."""
        return [*self.prepared.commitment("batch"), *self.prepared.commitment("step")]

    @property
    def argument(self) -> StepProof:
        return StepProof(self.proof.raw, self.path)


@dataclass
class ProvenAverage:
    """An average and its proof, made when first needed."""

    aggregator: Aggregator
    average: Average

    @cached_property
    def proof(self) -> Proof:
        return self.aggregator.prove(self.average)


class Evidence:
    """Three trainers' first round from one genesis: two steps of the first trainer, one of each other."""

    def __init__(self, step: Circuit, average: Circuit) -> None:
        self.step, self.average = step, average
        generator = np.random.default_rng(7)
        self.genesis = ModelVector.from_floats(step, generator.uniform(-0.1, 0.1, 650))
        self.other_genesis = ModelVector.from_floats(step, generator.uniform(-0.1, 0.1, 650))
        digits = load_digits()
        x, y = digits.data / 16.0, np.eye(10)[digits.target]
        shards = [slice(16 * i, 16 * (i + 1)) for i in range(len(TRAINERS))]
        self.datasets = [Dataset.from_floats(step, x[shard], y[shard]) for shard in shards]
        self.aggregator = Aggregator(average)
        self._trainers = [Trainer(step, self.genesis) for _ in TRAINERS]
        counts = (2, 1, 1)
        self.steps = [
            [self._take(trainer, owner, batch) for batch in range(count)]
            for owner, (trainer, count) in enumerate(zip(self._trainers, counts, strict=True))
        ]

    def _take(self, trainer: Trainer, owner: int, batch: int) -> ProvenStep:
        dataset = self.datasets[owner]
        return ProvenStep(trainer, trainer.step(dataset.batches[batch]), dataset.path(batch))

    @cached_property
    def of_another_model(self) -> ProvenStep:
        """A true step of the first trainer on its own first batch, from another model than the global one."""
        return self._take(Trainer(self.step, self.other_genesis), 0, 0)

    @cached_property
    def of_another_batch(self) -> ProvenStep:
        """A true first step of the first trainer, on its second batch."""
        return self._take(Trainer(self.step, self.genesis), 0, 1)

    @property
    def updates(self) -> list[IntArray]:
        return [trainer.update for trainer in self._trainers]

    @property
    def weights(self) -> list[int]:
        return fold_weights([len(steps) for steps in self.steps], self.aggregator.bits)

    def averaged(self, updates: Sequence[IntArray], weights: Sequence[int]) -> ProvenAverage:
        return ProvenAverage(self.aggregator, self.aggregator.average(updates, weights))

    @cached_property
    def honest(self) -> ProvenAverage:
        return self.averaged(self.updates, self.weights)

    @cached_property
    def without_the_last(self) -> ProvenAverage:
        """The average over the first two trainers, weighed as by the hub if the third is left out."""
        return self.averaged(self.updates[:2], fold_weights([2, 1], self.aggregator.bits))

    @cached_property
    def with_swapped_weights(self) -> ProvenAverage:
        first, second, third = self.weights
        return self.averaged(self.updates, [second, first, third])

    @cached_property
    def with_a_swapped_trainer(self) -> ProvenAverage:
        """The third trainer's update replaced by the first one's first step."""
        forged = -self.steps[0][0].prepared.vector
        return self.averaged([*self.updates[:2], forged], self.weights)

    @cached_property
    def with_delta_off_by_one(self) -> ProvenAverage:
        """Δ one unit higher in one coordinate, the remainder left where the circuit accepts it."""
        remainder, delta, *advice = (list(slot) for slot in self.honest.average.slots)
        delta[100] += 1
        honest = self.honest.average
        return ProvenAverage(
            self.aggregator, replace(honest, delta=np.array(delta), slots=[remainder, delta, *advice])
        )


@dataclass
class Game:
    """One registration of the model, taken to some stage of a round."""

    world: RealWorld
    model_id: bytes
    number: int = 0
    receipts: dict[str, Receipt] = field(default_factory=dict)

    @property
    def hub(self) -> HubClient:
        return self.world.hub

    @property
    def evidence(self) -> Evidence:
        return self.world.evidence

    def open(self) -> int:
        self.number, self.receipts["open"] = self.hub.open_round(self.model_id)
        return self.number

    def nonce(self, owner: int) -> bytes:
        return keccak(text=f"nonce of trainer {owner}")

    def digest(self, owner: int, steps: Sequence[ProvenStep], *, number: int | None = None) -> bytes:
        points = [point for step in steps for point in step.points]
        address = self.world.trainers[owner].address
        return commit_digest(self.model_id, number or self.number, address, self.nonce(owner), points)

    def commit(self, owner: int, steps: Sequence[ProvenStep] | None = None) -> Receipt:
        digest = self.digest(owner, self.evidence.steps[owner] if steps is None else steps)
        return self.commit_digest(owner, digest)

    def commit_digest(self, owner: int, digest: bytes) -> Receipt:
        hub = self.hub.acting_as(self.world.trainers[owner])
        receipt = hub.commit(self.model_id, self.number, digest)
        self.receipts[f"commit {owner}"] = receipt
        return receipt

    def submit(self, owner: int, steps: Sequence[ProvenStep | StepProof] | None = None) -> Receipt:
        chosen = self.evidence.steps[owner] if steps is None else steps
        proofs = [step.argument if isinstance(step, ProvenStep) else step for step in chosen]
        hub = self.hub.acting_as(self.world.trainers[owner])
        receipt = hub.submit(self.model_id, self.number, self.nonce(owner), proofs)
        self.receipts[f"submit {owner}"] = receipt
        return receipt

    def finalize(self, average: ProvenAverage, vka: Sequence[bytes] = ()) -> bytes:
        found, self.receipts["finalize"] = self.hub.finalize(
            self.model_id, self.number, average.proof.raw, vka
        )
        return found

    def commit_all(self) -> None:
        self.open()
        for owner in range(len(TRAINERS)):
            self.commit(owner)

    def submit_all(self) -> None:
        self.commit_all()
        for owner in range(len(TRAINERS)):
            self.submit(owner)

    def leave_out(
        self, owner: int, guardians: Sequence[LocalAccount], *, number: int | None = None
    ) -> list[bytes]:
        """The guardians' signatures to leave a trainer out."""
        address = self.world.trainers[owner].address
        return self.hub.sign_leave_out(
            self.model_id, number or self.number, address, self.world.REASON, guardians
        )

    def pass_period(self) -> None:
        """Let the phase's deadline pass."""
        self.world.pass_time(PERIOD + 1)

    def result(self) -> Commitment:
        return self.hub.round(self.model_id, self.number).result


@dataclass
class RealWorld:
    """Both chains with everything deployed, and the evidence."""

    chains: ChainPair
    deployment: Deployment
    evidence: Evidence
    REASON = "the update was withheld"

    @property
    def hub(self) -> HubClient:
        return HubClient(self.chains.l2, self.deployment.hub, self.deployment.abis["FedproofHub"])

    @property
    def trainers(self) -> list[LocalAccount]:
        return [devnet_account(index) for index in TRAINERS]

    @property
    def guardians(self) -> list[LocalAccount]:
        return [devnet_account(index) for index in GUARDIANS]

    def register(self, aggregate: str | None = None) -> Game:
        """The model once more, with its trainers admitted and their datasets registered."""
        step, average, genesis = self.evidence.step, self.evidence.average, self.evidence.genesis
        committer = step.committer
        config = ModelConfig(
            genesis=committer.pure(genesis.vector),
            ones=committer.ones(len(genesis.vector)),
            tail=committer.tail,
            batch_columns=step.manifest.slot("batch").columns,
            step_verifier=self.deployment.verifier(step.name).adapter.address,
            aggregate_verifier=aggregate or self.deployment.verifier(average.name).adapter.address,
            samples_per_step=len(self.evidence.datasets[0].batches[0].x),
            guardians=[guardian.address for guardian in self.guardians],
            guardian_threshold=THRESHOLD,
            weight_bits=self.evidence.aggregator.bits,
            min_trainers=MIN_TRAINERS,
            max_steps=MAX_STEPS,
            commit_period=PERIOD,
            submit_period=PERIOD,
            finalize_period=PERIOD,
        )
        model_id, _ = self.hub.register_model(config)
        for trainer, dataset in zip(self.trainers, self.evidence.datasets, strict=True):
            self.hub.admit(model_id, trainer.address)
            self.hub.acting_as(trainer).register_dataset(model_id, dataset.tree.root)
        return Game(self, model_id)

    def pass_time(self, seconds: int) -> None:
        """Let ``seconds`` go by on the L2."""
        rpc(self.chains.l2, "evm_increaseTime", seconds)
        rpc(self.chains.l2, "evm_mine")

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Put both chains back to what they were."""
        clients = (self.chains.l2, self.chains.l1)
        marks = [rpc(client, "evm_snapshot") for client in clients]
        try:
            yield
        finally:
            for client, mark in zip(clients, marks, strict=True):
                assert rpc(client, "evm_revert", mark)


@contextmanager
def refused(error: str, **arguments: object) -> Iterator[None]:
    """The body must be rejected by a contract with exactly this error, and these of its arguments."""
    with pytest.raises(ContractRejected) as caught:
        yield
    assert caught.value.name == error, caught.value
    found = {name: caught.value.args_[name] for name in arguments}
    assert found == arguments
