"""Checks of what one trainer handed in: its word, its steps, its batches, its update."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedproof.chain.digests import batch_leaf, commit_digest, points_hash, step_context
from fedproof.chain.merkle import is_on_path
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, Point, sub
from fedproof.exchange.deferred import DeferredVerifier
from fedproof.exchange.documents import SignedCommitment, Submission
from fedproof.exchange.faults import checking, demand
from fedproof.exchange.fields import to_bytes, to_hex
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.signing import check_signature, commitment_message
from fedproof.exchange.updates import receive_update
from fedproof.exchange.verify_plan import root_of
from fedproof.lowering.ir import IntArray
from fedproof.rounds.linked import first_place, follow_step


@dataclass(frozen=True)
class CheckedUpdate:
    """A trainer's update, and what it is worth: ``vector`` (D + S,), ``points`` its pure commitment."""

    trainer: str
    steps: int
    vector: IntArray
    points: Commitment


@dataclass
class SubmissionChecks:
    """Checks submissions of one round, one after the other: no batch and no step counts twice in it.

    Proofs are noted in ``proofs`` and not verified: call its ``finish``.
    """

    folder: RoundFolder
    training: Circuit
    base: Commitment
    proofs: DeferredVerifier
    _batches: dict[bytes, str] = field(default_factory=dict)
    _steps: dict[bytes, str] = field(default_factory=dict)

    def check(self, trainer: str) -> CheckedUpdate:
        """Check all that a trainer handed in; return its update. Raises :class:`RoundFault` with the file."""
        committed = self._commitment(trainer)
        with checking("submission", self.folder.submission_path(trainer)):
            submission = self.folder.submission(trainer)
            self._demand_place(submission, trainer)
            most = self.folder.plan.model.max_steps
            demand(len(submission.paths) <= most, f"{len(submission.paths)} steps, a round takes {most}")
        shown, end = self._walk(trainer, submission)
        with checking("commitment", self.folder.commitment_path(trainer)):
            plan = self.folder.plan
            digest = commit_digest(plan.id_bytes, plan.number, trainer, to_bytes(submission.nonce), shown)
            demand(committed.digest == to_hex(digest), "other batches or steps were shown than committed to")
        update = sub(end, self.base)
        with checking("update", self.folder.submission_path(trainer)):
            package = submission.update
            self._demand_place(package, trainer)
            vector = receive_update(
                self.folder.store_of(package.content),
                package,
                self.training.committer,
                length=self.training.manifest.slot("model").length,
                commitment=update,
            )
        return CheckedUpdate(trainer, len(submission.paths), vector, update)

    def alone(self) -> SubmissionChecks:
        """The same checks, of proofs of their own; what is used here counts after :meth:`remember`."""
        mine = (dict(self._batches), dict(self._steps))
        return SubmissionChecks(self.folder, self.training, self.base, DeferredVerifier(), *mine)

    def remember(self, other: SubmissionChecks) -> None:
        """Take over what ``other`` has seen used."""
        self._batches.update(other._batches)
        self._steps.update(other._steps)

    def _commitment(self, trainer: str) -> SignedCommitment:
        plan = self.folder.plan
        with checking("signature", self.folder.commitment_path(trainer)):
            committed = self.folder.commitment(trainer)
            self._demand_place(committed, trainer)
            demand(committed.plan == to_hex(plan.digest), "committed to under another plan of the round")
            message = commitment_message(
                plan.id_bytes, plan.number, trainer, plan.digest, to_bytes(committed.digest)
            )
            check_signature(message, committed.signature, trainer, what="the commitment")
        return committed

    def _demand_place(self, document: object, trainer: str) -> None:
        plan = self.folder.plan
        wanted = {"model_id": plan.model_id, "round": plan.number, "trainer": trainer}
        for name, value in wanted.items():
            found = getattr(document, name)
            demand(found == value, f"{name} is {found}, here it must be {value}")

    def _walk(self, trainer: str, submission: Submission) -> tuple[list[Point], Commitment]:
        """Follow the steps from the base; return the points shown, and where they end."""
        plan, circuit = self.folder.plan, self.training
        context = step_context(plan.id_bytes, plan.number, trainer)
        root = root_of(plan, trainer)
        at = first_place(circuit, self.base)
        shown: list[Point] = []
        for i, path in enumerate(submission.paths):
            file = self.folder.proof_path(trainer, i)
            with checking("steps", file):
                proof = self.folder.proof(trainer, i)
                with self.proofs.of(file) as noted:
                    found, at = follow_step(circuit, proof, at, i, prover=noted, context=context)
            with checking("dataset", file):
                batch = circuit.committer.to_pure(found["batch"])
                demand(
                    is_on_path(root, batch_leaf(batch), [to_bytes(node) for node in path]),
                    f"step {i} is on a batch that is not in the dataset of {trainer}",
                )
                self._use(self._batches, batch, trainer, f"the batch of step {i}")
            with checking("steps", file):
                self._use(self._steps, circuit.committer.to_pure(found["step"]), trainer, f"step {i}")
            shown += [*found["batch"], *found["step"]]
        return shown, at["model"]

    @staticmethod
    def _use(used: dict[bytes, str], points: Commitment, trainer: str, what: str) -> None:
        key = points_hash(points)
        demand(key not in used, f"{what} was used in this round already, by {used.get(key)}")
        used[key] = trainer
