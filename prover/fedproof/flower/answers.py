"""What a client answers in a round: made by the mod, checked by the strategy before anything relies on it.

The documents are those of a round folder, so that a server can write one and others check it again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TypeVar

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from pydantic import BaseModel, ValidationError

from fedproof.chain.digests import batch_leaf, commit_digest, points_hash, step_context
from fedproof.chain.merkle import is_on_path
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, CommitmentMismatch, Point, sub
from fedproof.errors import InvalidProof
from fedproof.exchange.documents import MAX_PATH, Registration, RoundPlan, SignedCommitment, Submission
from fedproof.exchange.fields import to_bytes, to_hex, to_text
from fedproof.exchange.signing import check_signature, commitment_message, sign
from fedproof.exchange.updates import UpdatePackage
from fedproof.exchange.vectors import pack
from fedproof.files import sha256_bytes
from fedproof.flower.local import LocalRound
from fedproof.flower.wire import FORMAT, PROTOCOL, UPDATE, blobs, read_vector, value, vector_record
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.rounds import Proof
from fedproof.rounds.proof import check_proof

Document = TypeVar("Document", bound=BaseModel)
_DOCUMENT_BYTES = 1 << 18


@dataclass(frozen=True)
class Answer:
    """What a client sent, read but not checked."""

    commitment: SignedCommitment
    submission: Submission
    proofs: tuple[Proof, ...]
    update: IntArray


@dataclass(frozen=True)
class Checked:
    """An answer that holds: the update (D + S,) is the result of ``steps`` proven steps.

    ``used`` names the steps' commitments, as the hub does.
    """

    trainer: str
    answer: Answer
    steps: int
    used: tuple[bytes, ...]


def answered(played: LocalRound, plan: RoundPlan) -> RecordDict:
    """Prove the steps of a round; return the records that carry update, commitment and proofs."""
    local, number = played.local, plan.number
    steps, update = played.trainer.steps, played.trainer.update
    context = step_context(plan.id_bytes, number, local.address)
    proofs = [played.trainer.prove(step, context) for step in steps]
    nonce = secrets.token_bytes(32)
    points = [p for step in steps for slot in ("batch", "step") for p in step.commitment(slot)]
    digest = commit_digest(plan.id_bytes, number, local.address, nonce, points)
    message = commitment_message(plan.id_bytes, number, local.address, plan.digest, digest)
    common = {"model_id": plan.model_id, "round": number, "trainer": local.address}
    commitment = SignedCommitment(
        **common, plan=to_hex(plan.digest), digest=to_hex(digest), signature=sign(message, local.account)
    )
    submission = Submission(
        **common,
        nonce=to_hex(nonce),
        paths=tuple(tuple(to_hex(h) for h in local.dataset.path(i)) for i in played.used),
        update=UpdatePackage(
            **common,
            length=len(update),
            content=sha256_bytes(pack(update)),
            commitment=to_text(local.circuit.committer.pure(update.tolist())),
        ),
    )
    return RecordDict(
        {
            UPDATE: vector_record(update),
            PROTOCOL: ConfigRecord(
                {
                    "format": FORMAT,
                    "commitment": commitment.model_dump_json().encode(),
                    "submission": submission.model_dump_json().encode(),
                    "proofs": [p.model_dump_json().encode() for p in proofs],
                }
            ),
        }
    )


def read_answer(circuit: Circuit, content: RecordDict, most_steps: int) -> Answer:
    """Read a client's answer; raises :class:`InvalidProof` if it is none, or is larger than any."""
    if PROTOCOL not in content.config_records:
        raise InvalidProof("the reply carries no proofs")
    record = content.config_records[PROTOCOL]
    if value(record, "format", int) != FORMAT:
        raise InvalidProof(f"the reply has format {record['format']!r}, this is {FORMAT}")
    arrays = content.array_records.get(UPDATE)
    if not isinstance(arrays, ArrayRecord):
        raise InvalidProof("the reply carries no update")
    # JSON holds two characters a byte, and beside it some names and numbers for each segment.
    limit = 2 * circuit.manifest.costs.proof_bytes + (1 << 14) * (1 + len(circuit.manifest.segments))
    proofs = blobs(record, "proofs", most_steps, limit)
    return Answer(
        _document(SignedCommitment, value(record, "commitment", bytes)),
        _document(Submission, value(record, "submission", bytes)),
        tuple(_document(Proof, p) for p in proofs),
        read_vector(arrays, circuit.manifest.slot("model").length),
    )


def check_answer(
    circuit: Circuit,
    plan: RoundPlan,
    registration: Registration,
    model: Commitment,
    answer: Answer,
    *,
    used: set[bytes],
    prover: Prover | None = None,
) -> Checked:
    """Check an answer of ``registration``'s trainer: signed, for this round, its steps proven from ``model``.

    ``model`` is the pure commitment of the round's model, ``used`` names the steps that counted before. Cheap
    checks come first. Raises :class:`InvalidProof` saying what does not hold.
    """
    trainer = registration.trainer
    commitment, submission = answer.commitment, answer.submission
    ours = (plan.model_id, plan.number, trainer)
    for what, found in (
        ("commitment", commitment),
        ("submission", submission),
        ("update", submission.update),
    ):
        stated = (found.model_id, found.round, found.trainer)
        if stated != ours:
            raise InvalidProof(
                f"the {what} is that of {stated[2]} in round {stated[1]} of model {stated[0]}, "
                f"not of {trainer} in round {plan.number} of model {plan.model_id}"
            )
    if commitment.plan != to_hex(plan.digest):
        raise InvalidProof("the commitment was made for another plan of the round")
    message = commitment_message(
        plan.id_bytes, plan.number, trainer, plan.digest, to_bytes(commitment.digest)
    )
    check_signature(message, commitment.signature, trainer, what="the commitment")
    if not len(answer.proofs) == len(submission.paths) <= plan.model.max_steps:
        raise InvalidProof(
            f"{len(answer.proofs)} proofs and {len(submission.paths)} paths; "
            f"a trainer has at most {plan.model.max_steps} steps a round"
        )
    points, names, end = _check_steps(circuit, plan, registration, model, answer, used, prover)
    digest = commit_digest(plan.id_bytes, plan.number, trainer, to_bytes(submission.nonce), points)
    if to_hex(digest) != commitment.digest:
        raise InvalidProof("the trainer committed to other batches or steps than it proved")
    _check_update(circuit, answer, sub(end, model), trainer)
    return Checked(trainer, answer, len(answer.proofs), names)


def _check_steps(
    circuit: Circuit,
    plan: RoundPlan,
    registration: Registration,
    model: Commitment,
    answer: Answer,
    used: set[bytes],
    prover: Prover | None,
) -> tuple[list[Point], tuple[bytes, ...], Commitment]:
    """Return the points committed to, the names of the steps, and P of the model after the last one."""
    committer, at = circuit.committer, tuple(model)
    slots = [s.name for s in circuit.manifest.slots]
    context = step_context(plan.id_bytes, plan.number, registration.trainer)
    points: list[Point] = []
    names: list[bytes] = []
    leaves: set[bytes] = set()
    for i, (proof, path) in enumerate(zip(answer.proofs, answer.submission.paths, strict=True)):
        try:
            found = dict(zip(slots, check_proof(circuit, proof, prover, context=context), strict=True))
        except InvalidProof as e:
            raise InvalidProof(f"step {i}: {e}") from e
        if committer.to_pure(found["model"]) != at:
            before = f"step {i - 1} ended at" if i else "that this round trains from"
            raise InvalidProof(f"step {i} is proven at another model than the one {before}")
        leaf = batch_leaf(committer.to_pure(found["batch"]))
        if len(path) > MAX_PATH or not is_on_path(
            to_bytes(registration.dataset_root), leaf, [to_bytes(h) for h in path]
        ):
            raise InvalidProof(f"the batch of step {i} is not in the dataset that the trainer registered")
        if leaf in leaves:
            raise InvalidProof(f"the batch of step {i} was used in this round before")
        step = committer.to_pure(found["step"])
        name = points_hash(step)
        if name in used or name in names:
            raise InvalidProof(f"step {i} counted before")
        leaves.add(leaf)
        names.append(name)
        points += [*found["batch"], *found["step"]]
        at = sub(at, step)
    return points, tuple(names), at


def _check_update(circuit: Circuit, answer: Answer, proven: Commitment, trainer: str) -> None:
    package = answer.submission.update
    if package.points != tuple(proven) or package.length != len(answer.update):
        raise InvalidProof("the update's package names another commitment than was proven")
    # Whatever was proven, what is averaged is the vector: it has to be the one behind the commitment.
    try:
        circuit.committer.check_opening(answer.update.tolist(), proven)
    except CommitmentMismatch as e:
        raise CommitmentMismatch(f"the update of {trainer} is not the one whose steps it proved") from e
    if package.content != sha256_bytes(pack(answer.update)):
        raise InvalidProof("the update's package names other content than was sent")


def _document(kind: type[Document], raw: bytes) -> Document:
    if kind is not Proof and len(raw) > _DOCUMENT_BYTES:
        raise InvalidProof(f"a {kind.__name__} of {len(raw)} bytes is none")
    try:
        return kind.model_validate_json(raw)
    except (ValidationError, ValueError) as e:
        raise InvalidProof(f"the reply's {kind.__name__} is none: {str(e).splitlines()[0]}") from e
