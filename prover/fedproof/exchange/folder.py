"""A round as a folder of files: where each lies, and how it is read and written.

Every name follows from this format. No document says which file to open, so none can lead out of the folder.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from fedproof.documents import read_document
from fedproof.errors import CallerError
from fedproof.exchange.documents import RoundPlan, RoundResult, SignedCommitment, Submission
from fedproof.exchange.store import ContentStore
from fedproof.files import write_whole
from fedproof.rounds.proof import Proof
from fedproof.rounds.published import PublishedModel

PLAN, BASE, RESULT, MODEL, AVERAGE = (
    "round.json",
    "base.json",
    "result.json",
    "model.json",
    "average.proof.json",
)
COMMITMENT, SUBMISSION, STORE, TRAINERS = "commitment.json", "submission.json", "store", "trainers"
#: A reader takes no document larger than this: a model of 10^6 parameters has some 10 MB.
MAX_DOCUMENT_BYTES = 256 << 20

Document = TypeVar("Document", bound=BaseModel)


class RoundFolder:
    """One round. ``store`` holds the updates; without it, the folder's own.

    Reading raises :class:`CallerError` for a missing or malformed file and checks nothing else:
    :func:`verify_round` does. Everything in a folder is public.
    """

    def __init__(self, path: Path | str, *, store: ContentStore | None = None) -> None:
        self.path = Path(path)
        self.store = store or ContentStore(self.path.resolve() / STORE)

    # -- where things lie -----------------------------------------------------------------------

    def trainer_path(self, trainer: str) -> Path:
        """Folder of what a trainer handed in."""
        return self.path / TRAINERS / trainer

    def commitment_path(self, trainer: str) -> Path:
        """A trainer's signed commitment."""
        return self.trainer_path(trainer) / COMMITMENT

    def submission_path(self, trainer: str) -> Path:
        """What opens it."""
        return self.trainer_path(trainer) / SUBMISSION

    def proof_path(self, trainer: str, step: int) -> Path:
        """The proof of a step, counted from 0."""
        return self.trainer_path(trainer) / f"step{step}.proof.json"

    @property
    def average_path(self) -> Path:
        """The proof of the average."""
        return self.path / AVERAGE

    def store_of(self, digest: str) -> ContentStore:
        """The store to fetch content from: the folder's own where it has it, else the one that was named."""
        own = ContentStore(self.path.resolve() / STORE)
        return own if own.has(digest) else self.store

    # -- reading --------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> RoundPlan:
        """What the round is about."""
        return read(RoundPlan, self.path / PLAN, "round plan")

    @property
    def base(self) -> PublishedModel:
        """The model that the round trains from."""
        return read(PublishedModel, self.path / BASE, "model")

    def commitment(self, trainer: str) -> SignedCommitment:
        """Return what a trainer committed to."""
        return read(SignedCommitment, self.commitment_path(trainer), "commitment")

    def submission(self, trainer: str) -> Submission:
        """Return what a trainer revealed."""
        return read(Submission, self.submission_path(trainer), "submission")

    def proof(self, trainer: str, step: int) -> Proof:
        """Return the proof of a trainer's step, counted from 0."""
        return read(Proof, self.proof_path(trainer, step), "proof")

    @property
    def result(self) -> RoundResult:
        """Who counts, and the new model's hash."""
        return read(RoundResult, self.path / RESULT, "round result")

    @property
    def average(self) -> Proof:
        """The proof of the average."""
        return read(Proof, self.average_path, "proof")

    @property
    def model(self) -> PublishedModel:
        """The model that the round produced."""
        return read(PublishedModel, self.path / MODEL, "model")

    @property
    def is_finished(self) -> bool:
        """Whether there is a result."""
        return (self.path / RESULT).is_file()

    def has_submission(self, trainer: str) -> bool:
        """Whether a trainer has handed in."""
        return self.submission_path(trainer).is_file()

    # -- writing --------------------------------------------------------------------------------

    def write(self, name: str, document: BaseModel) -> None:
        """Write one of the round's own documents."""
        _write(self.path / name, document)

    def write_commitment(self, document: SignedCommitment) -> None:
        """Write a trainer's commitment."""
        _write(self.commitment_path(document.trainer), document)

    def write_submission(self, document: Submission, proofs: list[Proof]) -> None:
        """Write what a trainer reveals: the proofs first, so that a submission that is there is whole."""
        for i, proof in enumerate(proofs):
            proof.save(self.proof_path(document.trainer, i))
        _write(self.submission_path(document.trainer), document)


def read(kind: type[Document], path: Path, what: str) -> Document:
    """Read a document of a folder; raises :class:`CallerError` if it is missing, another or too large."""
    try:
        size = path.stat().st_size if path.is_file() else 0
    except OSError as error:
        raise CallerError(f"cannot read {path}: {error.strerror or error}") from error
    if size > MAX_DOCUMENT_BYTES:
        raise CallerError(f"{path} has {size:,} bytes, a {what} file at most {MAX_DOCUMENT_BYTES:,}")
    if path.exists() and not path.is_file():
        raise CallerError(f"{path} is no {what} file")
    return read_document(kind, path, what)


def _write(path: Path, document: BaseModel) -> None:
    write_whole(path, document.model_dump_json(indent=2) + "\n")
