"""Handing a finished round in: to a round folder, or to a hub."""

from __future__ import annotations

import time
from pathlib import Path

from eth_account.signers.local import LocalAccount

from fedproof.chain.client import Receipt
from fedproof.chain.hub import HubClient, Phase
from fedproof.errors import CallerError, RetryableError
from fedproof.exchange.documents import SignedCommitment, Submission
from fedproof.exchange.fields import to_hex
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.signing import commitment_message, sign
from fedproof.exchange.store import ContentStore
from fedproof.exchange.updates import UpdateExchange, send_update
from fedproof.rounds.session import TrainerRound, TrainerSession
from fedproof.training.round import TrainingRound

_POLL_S = 2.0


class NotYet(RetryableError):
    """A round takes no submissions yet: others may still commit."""


def commit_to_folder(work: TrainingRound, folder: RoundFolder, account: LocalAccount) -> None:
    """Sign what was trained, before anything of it is shown; done once."""
    work.demand_steps()
    plan, trainer = folder.plan, str(account.address)
    if folder.commitment_path(trainer).is_file():
        kept = folder.commitment(trainer)
        if kept.digest != to_hex(work.digest):
            raise CallerError(
                f"{trainer} has committed to other steps in round {work.number}",
                hint="a commitment is final: take the steps that it covers, or leave the round",
            )
        if kept.plan != to_hex(plan.digest):
            raise CallerError(
                f"{folder.path} has another plan than the one {trainer} committed to",
                hint="ask the model's owner: a plan does not change once it is signed",
            )
        return
    message = commitment_message(work.model_id, work.number, trainer, plan.digest, work.digest)
    folder.write_commitment(
        SignedCommitment(
            model_id=to_hex(work.model_id),
            round=work.number,
            trainer=trainer,
            plan=to_hex(plan.digest),
            digest=to_hex(work.digest),
            signature=sign(message, account),
        )
    )


def submit_to_folder(work: TrainingRound, folder: RoundFolder, account: LocalAccount) -> Path:
    """Wait for the proofs, then write proofs, paths and update; return the trainer's folder there."""
    trainer = str(account.address)
    commit_to_folder(work, folder, account)
    proofs = work.proofs()
    package = send_update(
        folder.store,
        work.update,
        work.update_commitment,
        model_id=work.model_id,
        round_number=work.number,
        trainer=trainer,
    )
    submission = Submission(
        model_id=to_hex(work.model_id),
        round=work.number,
        trainer=trainer,
        nonce=to_hex(work.nonce),
        paths=tuple(tuple(to_hex(node) for node in work.dataset.path(b)) for b in work.batches),
        update=package,
    )
    folder.write_submission(submission, proofs)
    return folder.trainer_path(trainer)


def submit_to_hub(
    work: TrainingRound,
    hub: HubClient,
    *,
    vka: tuple[bytes, ...] = (),
    store: ContentStore | None = None,
    wait_s: float = 0.0,
) -> Receipt | None:
    """Commit, wait for the submit phase, reveal, and leave the update in ``store``; what was done is skipped.

    ``hub`` acts as the trainer. Raises :class:`NotYet` if others may still commit after ``wait_s`` seconds.
    """
    work.demand_steps()
    session = TrainerSession(work.circuit, work.dataset, hub, work.model_id, work.folder)
    done = TrainerRound(work.nonce, work.batches, work.steps)
    if hub.phase(work.model_id, work.number) is Phase.COMMIT:
        session.commit(work.number, done)
    done.proofs.extend(work.proofs())
    deadline = time.monotonic() + wait_s
    while hub.phase(work.model_id, work.number) is Phase.COMMIT:
        if time.monotonic() >= deadline:
            raise NotYet(
                f"round {work.number} still takes commitments",
                hint="call submit again once everyone has committed, or the commit phase is over",
            )
        time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
    receipt = session.submit(work.number, done, vka)
    if store is not None:
        UpdateExchange(store).publish(
            work.update,
            work.update_commitment,
            model_id=work.model_id,
            round_number=work.number,
            trainer=session.address,
        )
    return receipt
