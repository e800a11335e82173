"""What became of a round, as an aggregator tells it."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from fedproof.errors import FedproofError, TerminalError


class Kind(StrEnum):
    """How a round ended, or what keeps it from ending."""

    FINALIZED = "finalized"
    OVERTAKEN = "overtaken"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled back"
    MISSING = "missing"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do about the round."""
        return self not in _OPEN


_OPEN = frozenset({Kind.MISSING, Kind.REFUSED, Kind.FAILED})


@dataclass(frozen=True)
class Outcome:
    """What became of one round.

    ``trainers`` are those whose update is missing or was refused; ``finalizer`` is whose transaction counted.
    ``gas`` and ``tx`` are this aggregator's own, ``gas`` also of a transaction that came too late. ``model``
    is the file of the new model, None where it is not known here. Times in seconds.
    """

    number: int
    kind: Kind
    detail: str
    error: str | None = None
    trainers: tuple[str, ...] = ()
    finalizer: str | None = None
    model_hash: str | None = None
    model: str | None = None
    tx: str | None = None
    gas: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The outcome as JSON."""
        found = asdict(self)
        return {"round": found.pop("number")} | found | {"kind": str(self.kind)}

    def same_as(self, other: Outcome | None) -> bool:
        """Whether there is nothing new in it after ``other``."""
        if other is None:
            return False
        facts = ("number", "kind", "error", "trainers", "finalizer", "model_hash")
        return all(getattr(self, f) == getattr(other, f) for f in facts)


class Problem(FedproofError):
    """A round that cannot be ended now. ``outcome`` tells why, ``error`` is the cause."""

    def __init__(self, outcome: Outcome, error: FedproofError) -> None:
        super().__init__(error.message, hint=error.hint)
        self.outcome = outcome
        self.error = error


class Journal:
    """Outcomes, one JSON line each, appended to a file; the newest are also kept in memory."""

    KEPT = 1000

    def __init__(self, path: Path) -> None:
        self.path = path
        self.newest: deque[Outcome] = deque(maxlen=self.KEPT)

    def add(self, outcome: Outcome) -> None:
        """Append an outcome; in memory also when the disk refuses, which raises :class:`TerminalError`."""
        self.newest.append(outcome)
        line = (
            json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds")} | outcome.document)
            + "\n"
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One write to a file opened for appending: lines of several processes do not mix.
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise TerminalError(f"cannot write {self.path}: {error.strerror or error}") from error
