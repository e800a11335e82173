"""A devnet with the real verifiers of two circuits, on which real proofs of a round are shown.

A proof of a step names its model, and a model's id follows from its number on the hub. So every test
registers the model anew, as the hub's first, and is undone: the same proofs serve all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from chain_world import rpc
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from proven_evidence import TRAINER_COUNT, Evidence, ProvenAverage, ProvenStep

from fedproof.chain.accounts import devnet_account
from fedproof.chain.client import Receipt
from fedproof.chain.deploy import ChainPair
from fedproof.chain.deployment import Deployment
from fedproof.chain.digests import commit_digest, step_context
from fedproof.chain.hub import HubClient, ModelConfig, StepProof
from fedproof.chain.reverts import ContractRejected
from fedproof.commitments import Commitment

TRAINERS, GUARDIANS, STRANGER = range(1, TRAINER_COUNT + 1), (20, 21, 22), 9
THRESHOLD, MIN_TRAINERS, MAX_STEPS = 2, 2, 2
PERIOD = 86_400
"""Seconds of each phase: long, so that only a test that wants a deadline to pass meets one."""


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

    def context(self, owner: int) -> bytes:
        """What the hub takes a step of this trainer for, in the round at hand."""
        return step_context(self.model_id, self.number, self.world.trainers[owner].address)

    def arguments(self, owner: int, steps: Sequence[ProvenStep] | None = None) -> list[StepProof]:
        """Steps, proven for this trainer in the round at hand."""
        chosen = self.evidence.steps[owner] if steps is None else steps
        return [step.argument_for(self.context(owner)) for step in chosen]

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
        """Submit steps, proven for this trainer and round, or proofs as they are."""
        context = self.context(owner)
        chosen = self.evidence.steps[owner] if steps is None else steps
        proofs = [s.argument_for(context) if isinstance(s, ProvenStep) else s for s in chosen]
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
