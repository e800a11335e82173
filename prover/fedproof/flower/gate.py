"""The gate of one round: every reply is checked here, before the wrapped strategy or anybody relies on it."""

from __future__ import annotations

from dataclasses import dataclass

from flwr.app import Message

from fedproof.circuits.store import Circuit
from fedproof.errors import InvalidProof
from fedproof.exchange.documents import Registration
from fedproof.exchange.folder import RoundFolder
from fedproof.flower.answers import Checked, check_answer, read_answer
from fedproof.flower.enrolment import Enrolments
from fedproof.flower.folders import demand_range, keep_answer
from fedproof.provers import Prover
from fedproof.rounds import ModelVector


@dataclass(frozen=True)
class Refused:
    """A reply that was not relied on. ``trainer`` is None where nobody known stands behind the node."""

    round: int
    node: int
    trainer: str | None
    reason: str


class Gate:
    """A round in progress. ``accepted`` are the answers that hold, in the order of their arrival.

    ``left_out`` says of the others, by trainer, why they do not count. ``used`` names the steps that counted
    in earlier rounds, and gains those of this one.
    """

    def __init__(
        self,
        circuits: tuple[Circuit, Circuit],
        folder: RoundFolder,
        model: ModelVector,
        enrolments: Enrolments,
        used: set[bytes],
        prover: Prover,
    ) -> None:
        self.training, self.average = circuits
        self.folder = folder
        self.model = model
        self.enrolments = enrolments
        self.used = used
        self.prover = prover
        self.accepted: dict[str, Checked] = {}
        self.left_out: dict[str, str] = {}
        self._base = self.training.committer.pure(model.vector.tolist())

    @property
    def number(self) -> int:
        """Number of the round."""
        return self.folder.plan.number

    def accept(self, reply: Message) -> Refused | None:
        """Check a reply and keep it in the round's folder; return why it is refused, if it is."""
        node = reply.metadata.src_node_id
        registration = self.enrolments.of(node)
        try:
            checked = self._checked(registration, reply)
        except InvalidProof as e:
            trainer = registration.trainer if registration else None
            if trainer is not None and trainer not in self.accepted:
                self.left_out[trainer] = str(e)
            return Refused(self.number, node, trainer, str(e))
        keep_answer(self.folder, checked.answer)
        self.left_out.pop(checked.trainer, None)
        self.accepted[checked.trainer] = checked
        self.used.update(checked.used)
        return None

    def failed(self, reply: Message) -> None:
        """Note that a client failed: it says so itself, there is nothing to check."""
        if registration := self.enrolments.of(reply.metadata.src_node_id):
            self.left_out.setdefault(registration.trainer, f"the client failed: {reply.error.reason}")

    def close(self) -> None:
        """Note who has not answered at all."""
        for registration in self.folder.plan.trainers:
            if registration.trainer not in self.accepted:
                self.left_out.setdefault(registration.trainer, "no answer")

    def _checked(self, registration: Registration | None, reply: Message) -> Checked:
        plan = self.folder.plan
        # A node may have changed hands since the plan was signed: the plan counts.
        if registration is None or plan.registration(registration.trainer) != registration:
            raise InvalidProof("the node speaks for no trainer of this round")
        trainer = registration.trainer
        if trainer in self.accepted:
            raise InvalidProof(f"{trainer} has answered in this round before")
        answer = read_answer(self.training, reply.content, plan.model.max_steps)
        checked = check_answer(
            self.training, plan, registration, self._base, answer, used=self.used, prover=self.prover
        )
        demand_range(self.average, answer.update, trainer)
        return checked
