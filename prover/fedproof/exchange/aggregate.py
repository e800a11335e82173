"""The aggregator of a round folder: it relies on nothing it has not checked, and leaves a finished round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from eth_account.signers.local import LocalAccount

from fedproof.chain.digests import model_hash
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment
from fedproof.errors import CallerError, InvalidProof, RetryableError
from fedproof.exchange.deferred import DeferredVerifier
from fedproof.exchange.documents import LeftOut, RoundResult, Share
from fedproof.exchange.faults import RoundFault
from fedproof.exchange.fields import to_hex
from fedproof.exchange.folder import MODEL, RESULT, RoundFolder
from fedproof.exchange.signing import account_of, result_message, sign
from fedproof.exchange.store import ContentStore
from fedproof.exchange.verify_plan import check_plan
from fedproof.exchange.verify_submission import CheckedUpdate, SubmissionChecks
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.aggregator import Aggregator, Average, fold_weights
from fedproof.rounds.average_check import check_average
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.vectors import ModelVector, training_spec

_UNSIGNED = "0x" + "00" * 65


class TooFewSubmissions(RetryableError):
    """Trainers of the plan have not handed in yet."""


class FolderAggregator:
    """Checks what was handed in, averages it, proves the average, signs the result.

    ``key`` is that of the model's owner. ``on_invalid`` is ``"fail"``, or ``"drop"`` to leave out whoever's
    submission does not hold, with the reason.
    """

    def __init__(
        self,
        folder: RoundFolder | Path | str,
        training: Circuit,
        average: Circuit,
        key: LocalAccount | str | bytes,
        *,
        prover: Prover | None = None,
        store: ContentStore | None = None,
        on_invalid: str = "fail",
    ) -> None:
        if on_invalid not in ("fail", "drop"):
            raise CallerError(f"on_invalid is {on_invalid!r}", hint="'fail' or 'drop'")
        self.folder = folder if isinstance(folder, RoundFolder) else RoundFolder(folder, store=store)
        self.training = training
        self.account = account_of(key)
        self.prover = prover or CpuProver()
        self.aggregator = Aggregator(average, self.prover)
        self.on_invalid = on_invalid
        self.base = check_plan(self.folder, training, average)
        owner = self.folder.plan.model.owner
        if self.account.address != owner:
            raise CallerError(f"the round is closed by {owner}, the key is of {self.account.address}")

    def receive(
        self, leave_out: Mapping[str, str] | None = None
    ) -> tuple[list[CheckedUpdate], list[LeftOut]]:
        """Check every submission, proofs included; return the updates and who is left out.

        ``leave_out`` gives the reason for each trainer of the plan that is not waited for. Raises
        :class:`TooFewSubmissions` if one is missing that is not in it, :class:`RoundFault` for one that does
        not hold, unless those are dropped.
        """
        plan, reasons = self.folder.plan, dict(leave_out or {})
        planned = [r.trainer for r in plan.trainers]
        if unknown := [t for t in reasons if t not in planned]:
            raise CallerError(f"{unknown[0]} is not in the plan of {self.folder.path}")
        missing = [t for t in planned if t not in reasons and not self.folder.has_submission(t)]
        if missing:
            raise TooFewSubmissions(
                f"{len(missing)} of {len(planned)} trainers have not handed in: {', '.join(missing)}",
                hint="wait for them, or leave them out with a reason",
            )
        checks = SubmissionChecks(
            self.folder,
            self.training,
            self.training.committer.pure(self.base.vector.tolist()),
            DeferredVerifier(),
        )
        updates = []
        for trainer in planned:
            if trainer in reasons:
                continue
            try:
                updates.append(self._received(checks, trainer))
            except RoundFault as fault:
                if self.on_invalid == "fail":
                    raise
                reasons[trainer] = f"{fault.check}: {fault.reason}"[:500]
        if len(updates) < plan.min_trainers:
            told = "; ".join(f"{t}: {r}" for t, r in reasons.items())
            raise InvalidProof(f"{len(updates)} trainers count, the plan wants {plan.min_trainers} ({told})")
        left = [LeftOut(trainer=t, reason=reasons[t]) for t in planned if t in reasons]
        return updates, left

    def _received(self, checks: SubmissionChecks, trainer: str) -> CheckedUpdate:
        # A verifier of its own: what is wrong with one trainer must not count for another.
        own = checks.alone()
        update = own.check(trainer)
        own.proofs.finish(self.prover)
        checks.remember(own)
        return update

    def finish(self, leave_out: Mapping[str, str] | None = None) -> RoundResult:
        """Close the round: check, average, prove, write the new model and the signed result.

        A round that is finished is returned as it is; an average that was proven before is not proven again.
        Raises as :meth:`receive`.
        """
        if self.folder.is_finished:
            return self.folder.result
        plan = self.folder.plan
        updates, left = self.receive(leave_out)
        batch = training_spec(self.training).batch
        samples = [u.steps * batch for u in updates]
        weights = fold_weights(samples, self.aggregator.bits)
        average = self.aggregator.average([u.vector for u in updates], weights)
        self._prove(average, [u.points for u in updates], weights)
        model = self.base.plus(average.delta)
        PublishedModel.of(self.training, model, plan.id_bytes, plan.number).save(self.folder.path / MODEL)
        result = RoundResult(
            model_id=plan.model_id,
            round=plan.number,
            plan=to_hex(plan.digest),
            included=tuple(
                Share(trainer=u.trainer, steps=u.steps, samples=n, weight=w)
                for u, n, w in zip(updates, samples, weights, strict=True)
            ),
            left_out=tuple(left),
            model_hash=to_hex(self._hash(model)),
            signature=_UNSIGNED,
        )
        signature = sign(result_message(plan.id_bytes, plan.number, result.digest), self.account)
        signed = result.model_copy(update={"signature": signature})
        # Last: a result that is there is one of a whole round.
        self.folder.write(RESULT, signed)
        return signed

    def _prove(self, average: Average, updates: list[Commitment], weights: list[int]) -> None:
        circuit = self.aggregator.circuit
        try:
            # Proven before, by a run that was interrupted: the average of the same updates is the same.
            check_average(circuit, self.folder.average, updates, weights, prover=self.prover)
        except (CallerError, InvalidProof):
            self.aggregator.prove(average).save(self.folder.average_path)

    def _hash(self, model: ModelVector) -> bytes:
        plan = self.folder.plan
        return model_hash(plan.id_bytes, plan.number, self.training.committer.pure(model.vector.tolist()))
