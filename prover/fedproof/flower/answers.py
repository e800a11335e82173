"""What a client answers in a round: the documents of a round folder, as records of a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from pydantic import BaseModel, ValidationError

from fedproof.circuits.store import Circuit
from fedproof.errors import InvalidProof
from fedproof.exchange.documents import Registration, RoundPlan, SignedCommitment, Submission
from fedproof.exchange.folder import RoundFolder
from fedproof.files import sha256_bytes
from fedproof.flower.wire import (
    FORMAT,
    PROTOCOL,
    UPDATE,
    VECTOR,
    blobs,
    read_vector,
    value,
    vector_record,
)
from fedproof.lowering.ir import IntArray
from fedproof.rounds import Proof

Document = TypeVar("Document", bound=BaseModel)
_DOCUMENT_BYTES = 1 << 18


@dataclass(frozen=True)
class Answer:
    """What a client sent, read but not checked. ``packed`` are the bytes of the update."""

    commitment: SignedCommitment
    submission: Submission
    proofs: tuple[Proof, ...]
    packed: bytes

    def keep(self, folder: RoundFolder) -> None:
        """Write it into a round's folder, as it was received."""
        folder.store.put(self.packed)
        folder.write_commitment(self.commitment)
        folder.write_submission(self.submission, list(self.proofs))


def answer_records(folder: RoundFolder, trainer: str, update: IntArray) -> RecordDict:
    """Return the records that carry what a trainer has written into a folder, and its update (D + S,)."""
    submission = folder.submission(trainer)
    proofs = [folder.proof_path(trainer, i).read_bytes() for i in range(len(submission.paths))]
    return RecordDict(
        {
            UPDATE: vector_record(update),
            PROTOCOL: ConfigRecord(
                {
                    "format": FORMAT,
                    "commitment": folder.commitment_path(trainer).read_bytes(),
                    "submission": folder.submission_path(trainer).read_bytes(),
                    "proofs": proofs,
                }
            ),
        }
    )


def read_answer(circuit: Circuit, content: RecordDict, plan: RoundPlan, registration: Registration) -> Answer:
    """Read what ``registration``'s trainer sent in the round of ``plan``.

    Raises :class:`InvalidProof` if it is no answer, is larger than any, speaks of another trainer or round,
    or carries another update than it says. Proofs, signature, batches and commitments are not checked here.
    """
    if PROTOCOL not in content.config_records:
        raise InvalidProof("the reply carries no proofs")
    record = content.config_records[PROTOCOL]
    if value(record, "format", int) != FORMAT:
        raise InvalidProof(f"the reply has format {record['format']!r}, this is {FORMAT}")
    # JSON holds two characters a byte, and beside it some names and numbers for each segment.
    limit = 2 * circuit.manifest.costs.proof_bytes + (1 << 14) * (1 + len(circuit.manifest.segments))
    answer = Answer(
        _document(SignedCommitment, value(record, "commitment", bytes)),
        _document(Submission, value(record, "submission", bytes)),
        tuple(_document(Proof, p) for p in blobs(record, "proofs", plan.model.max_steps, limit)),
        _update(circuit, content),
    )
    _demand_place(answer, plan, registration.trainer)
    if len(answer.proofs) != len(answer.submission.paths):
        raise InvalidProof(f"{len(answer.proofs)} proofs and {len(answer.submission.paths)} paths")
    if sha256_bytes(answer.packed) != answer.submission.update.content:
        raise InvalidProof("the update that was sent is not the one that its proofs came with")
    return answer


def _update(circuit: Circuit, content: RecordDict) -> bytes:
    arrays = content.array_records.get(UPDATE)
    if not isinstance(arrays, ArrayRecord):
        raise InvalidProof("the reply carries no update")
    read_vector(arrays, circuit.manifest.slot("model").length)
    return arrays[VECTOR].data


def _demand_place(answer: Answer, plan: RoundPlan, trainer: str) -> None:
    ours = (plan.model_id, plan.number, trainer)
    submission = answer.submission
    parts = (("commitment", answer.commitment), ("submission", submission), ("update", submission.update))
    for what, found in parts:
        stated = (found.model_id, found.round, found.trainer)
        if stated != ours:
            raise InvalidProof(
                f"the {what} is that of {stated[2]} in round {stated[1]} of model {stated[0]}, "
                f"not of {trainer} in round {plan.number} of model {plan.model_id}"
            )


def _document(kind: type[Document], raw: bytes) -> Document:
    if kind is not Proof and len(raw) > _DOCUMENT_BYTES:
        raise InvalidProof(f"a {kind.__name__} of {len(raw)} bytes is none")
    try:
        return kind.model_validate_json(raw)
    except (ValidationError, ValueError) as e:
        raise InvalidProof(f"the reply's {kind.__name__} is none: {str(e).splitlines()[0]}") from e
