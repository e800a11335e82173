"""The gate of one round: every reply is checked here, before the wrapped strategy or anybody relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from flwr.app import Message

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.aggregate import FolderAggregator
from fedproof.exchange.deferred import DeferredVerifier
from fedproof.exchange.documents import LeftOut
from fedproof.exchange.faults import RoundFault
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.verify_submission import CheckedUpdate, SubmissionChecks
from fedproof.flower.answers import read_answer
from fedproof.flower.enrolment import Enrolments
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.provers.base import ProverKilled

_REASON_LENGTH = 500
#: A verifier that died by accident once is asked again.
_ATTEMPTS = 2


@dataclass(frozen=True)
class Refused:
    """A reply that was not relied on. ``trainer`` is None where nobody known stands behind the node."""

    round: int
    node: int
    trainer: str | None
    reason: str


class Gate(FolderAggregator):
    """A round in progress, and at its end its aggregator.

    ``accepted`` are the updates that hold, by trainer, in the order of their arrival; ``left_out`` says of
    the others why they do not count. What holds is not checked again when the round is finished.
    """

    def __init__(
        self,
        circuits: tuple[Circuit, Circuit],
        folder: RoundFolder,
        enrolments: Enrolments,
        key: LocalAccount,
        prover: Prover,
    ) -> None:
        super().__init__(folder, *circuits, key, prover=prover)
        self.enrolments = enrolments
        self.accepted: dict[str, CheckedUpdate] = {}
        self.left_out: dict[str, str] = {}
        base = self.training.committer.pure(self.base.vector.tolist())
        self._checks = SubmissionChecks(folder, self.training, base, DeferredVerifier())

    @property
    def number(self) -> int:
        """Number of the round."""
        return self.folder.plan.number

    def accept(self, reply: Message) -> Refused | None:
        """Check a reply; return why it is refused, if it is. What can be read of it lies in the folder."""
        node = reply.metadata.src_node_id
        registration = self.enrolments.of(node)
        trainer = registration.trainer if registration else None
        try:
            checked = self._checked(node, reply)
        except InvalidProof as e:
            reason = f"{e.check}: {e.reason}" if isinstance(e, RoundFault) else str(e)
            if trainer is not None and trainer not in self.accepted:
                self.left_out[trainer] = reason[:_REASON_LENGTH]
            return Refused(self.number, node, trainer, reason)
        self.left_out.pop(checked.trainer, None)
        self.accepted[checked.trainer] = checked
        return None

    def failed(self, reply: Message) -> None:
        """Note that a client failed: it says so itself, there is nothing to check."""
        if registration := self.enrolments.of(reply.metadata.src_node_id):
            reason = f"the client failed: {reply.error.reason}"
            self.left_out.setdefault(registration.trainer, reason[:_REASON_LENGTH])

    def receive(
        self, leave_out: Mapping[str, str] | None = None
    ) -> tuple[list[CheckedUpdate], list[LeftOut]]:
        """Return what holds, and who is left out and why; those of ``leave_out`` are, whatever they sent."""
        reasons = {**self.left_out, **(leave_out or {})}
        planned = [r.trainer for r in self.folder.plan.trainers]
        counts = [t for t in planned if t in self.accepted and t not in reasons]
        left = [LeftOut(trainer=t, reason=reasons.get(t, "no answer")) for t in planned if t not in counts]
        return [self.accepted[t] for t in counts], left

    def _checked(self, node: int, reply: Message) -> CheckedUpdate:
        plan, registration = self.folder.plan, self.enrolments.of(node)
        # A node may have changed hands since the plan was signed: the plan counts.
        if registration is None or plan.registration(registration.trainer) != registration:
            raise InvalidProof("the node speaks for no trainer of this round")
        trainer = registration.trainer
        if trainer in self.accepted:
            raise InvalidProof(f"{trainer} has answered in this round before")
        read_answer(self.training, reply.content, plan, registration).keep(self.folder)
        own = self._checks.alone()
        checked = own.check(trainer)
        self._verify(own.proofs, trainer)
        self._demand_range(checked.vector, trainer)
        self._checks.remember(own)
        return checked

    def _verify(self, proofs: DeferredVerifier, trainer: str) -> None:
        """Verify what was noted. Bytes over which a verifier dies are no proof: they must not end the run."""
        for _ in range(_ATTEMPTS):
            try:
                proofs.finish(self.prover)
            except ProverKilled as e:
                death = e
            else:
                return
        raise InvalidProof(f"the proofs of {trainer} cannot be verified: {death}") from death

    def _demand_range(self, update: IntArray, trainer: str) -> None:
        # Only an average with narrower limbs than its default has less room than what can be proven; one
        # trainer could then make the average of all impossible.
        try:
            self.aggregator.average([update], [2**self.aggregator.bits])
        except CallerError as e:
            raise InvalidProof(f"the update of {trainer} is larger than an average holds: {e}") from e
