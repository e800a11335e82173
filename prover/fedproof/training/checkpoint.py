"""What is kept of a round in training: enough to go on after any interruption. Private, it holds data."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.documents import read_document
from fedproof.errors import CallerError, TerminalError
from fedproof.files import sha256_bytes, write_whole
from fedproof.rounds.trainer import PreparedStep
from fedproof.rounds.vectors import ModelVector

_PRIVATE = 0o600

Document = TypeVar("Document", bound=Strict)


class Start(Strict):
    """What a round starts from; a step is worth nothing in another one."""

    format: Literal[1] = 1
    key: str = Field(description="key of the compiled circuit")
    model_id: str
    round: int
    base: str = Field(description="SHA-256 of the vector trained from")
    nonce: str = Field(description="of the commitment, 32 bytes in hex; secret until it is opened")


class KeptStep(Strict):
    """One step that was taken: its batch, and its committed vectors."""

    format: Literal[1] = 1
    batch: int = Field(ge=0)
    # As text: a salt has 254 bits.
    slots: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Checkpoint:
    """The folder of one round. ``nonce`` is the same in every run over it."""

    folder: Path
    nonce: bytes

    @classmethod
    def open(
        cls, folder: Path, circuit: Circuit, model_id: bytes, round_number: int, base: ModelVector
    ) -> Checkpoint:
        """Open the checkpoint in ``folder``, or begin one.

        Raises :class:`CallerError` if what lies there started from another model or circuit,
        :class:`TerminalError` if it is damaged.
        """
        path = folder / "start.json"
        vector = sha256_bytes(base.vector.astype("<i8").tobytes())
        wanted = Start(
            key=circuit.manifest.key,
            model_id=model_id.hex(),
            round=round_number,
            base=vector,
            nonce=secrets.token_bytes(32).hex(),
        )
        if not path.exists():
            write_whole(path, wanted.model_dump_json(indent=2) + "\n", mode=_PRIVATE)
            return cls(folder, bytes.fromhex(wanted.nonce))
        kept = _read(Start, path, "start of a round")
        same = kept.model_copy(update={"nonce": wanted.nonce})
        if same != wanted:
            other = [name for name in Start.model_fields if getattr(same, name) != getattr(wanted, name)]
            raise CallerError(
                f"{folder} holds round {kept.round} with another {', '.join(other)}",
                hint="its steps are of no use here: remove the folder, or go on from what it started from",
            )
        return cls(folder, bytes.fromhex(kept.nonce))

    def steps(self, circuit: Circuit) -> list[tuple[int, PreparedStep]]:
        """Return the steps that were kept, in order, each with the number of its batch."""
        found: list[tuple[int, PreparedStep]] = []
        while (path := self._step(len(found))).exists():
            kept = _read(KeptStep, path, "step")
            try:
                slots = [[int(v) for v in slot] for slot in kept.slots]
            except ValueError as error:
                raise TerminalError(f"{path} is damaged: {error}") from error
            found.append((kept.batch, PreparedStep(circuit, slots)))
        return found

    def keep(self, index: int, batch: int, step: PreparedStep) -> None:
        """Write a step. Raises :class:`CallerError` if another one lies there: somebody else trains here."""
        path = self._step(index)
        slots = [[str(v) for v in slot] for slot in step.slots]
        text = json.dumps({"format": 1, "batch": batch, "slots": slots}) + "\n"
        if path.exists() and path.read_text() != text:
            raise CallerError(
                f"{path} holds another step than was taken",
                hint="two processes train in one folder: let one of them finish, and give the other its own",
            )
        write_whole(path, text, mode=_PRIVATE)

    def _step(self, index: int) -> Path:
        return self.folder / f"step{index}.json"


def _read(kind: type[Document], path: Path, what: str) -> Document:
    try:
        return read_document(kind, path, what)
    except CallerError as error:
        raise TerminalError(
            f"{path} is damaged: {error.message}", hint="without it the round's steps cannot be proven"
        ) from error
