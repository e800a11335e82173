"""A reply as a client would make it that plays a round otherwise than its app would let it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from eth_account.signers.local import LocalAccount
from flwr.app import RecordDict

from fedproof.chain.digests import commit_digest, step_context
from fedproof.exchange.documents import RoundPlan, SignedCommitment, Submission
from fedproof.exchange.fields import to_hex
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.signing import commitment_message, sign
from fedproof.exchange.updates import send_update
from fedproof.flower.answers import answer_records
from fedproof.rounds import Batch, Dataset, ModelVector, Trainer
from fedproof.rounds.trainer import PreparedStep, update_commitment


@dataclass
class Forger:
    """Takes any step on any batch from any model, and has it all proven and signed by ``account``."""

    trainer: Trainer
    dataset: Dataset
    account: LocalAccount
    paths: list[int] = field(default_factory=list)

    @classmethod
    def at(cls, model: ModelVector, dataset: Dataset, account: LocalAccount, prover) -> Forger:
        return cls(Trainer(dataset.circuit, model, prover), dataset, account)

    def step(self, batch: Batch | int, path_of: int | None = None) -> PreparedStep:
        """Take a step; the path shown is that of batch ``path_of``, or of the batch itself."""
        own = self.dataset.batches[batch] if isinstance(batch, int) else batch
        self.paths.append(batch if isinstance(batch, int) else path_of or 0)
        return self.trainer.step(own)

    def answer(self, plan: RoundPlan, folder: RoundFolder) -> RecordDict:
        """The records that an honest mod would send for these steps, written into ``folder`` on the way."""
        steps, address = self.trainer.steps, str(self.account.address)
        context = step_context(plan.id_bytes, plan.number, address)
        proofs = [self.trainer.prove(step, context) for step in steps]
        nonce = secrets.token_bytes(32)
        points = [p for step in steps for slot in ("batch", "step") for p in step.commitment(slot)]
        digest = commit_digest(plan.id_bytes, plan.number, address, nonce, points)
        message = commitment_message(plan.id_bytes, plan.number, address, plan.digest, digest)
        common = {"model_id": plan.model_id, "round": plan.number, "trainer": address}
        folder.write_commitment(
            SignedCommitment(
                **common,
                plan=to_hex(plan.digest),
                digest=to_hex(digest),
                signature=sign(message, self.account),
            )
        )
        update = self.trainer.update
        package = send_update(
            folder.store,
            update,
            update_commitment(steps),
            model_id=plan.id_bytes,
            round_number=plan.number,
            trainer=address,
        )
        paths = tuple(tuple(to_hex(h) for h in self.dataset.path(i)) for i in self.paths)
        folder.write_submission(
            Submission(**common, nonce=to_hex(nonce), paths=paths, update=package), proofs
        )
        return answer_records(folder, address, update)
