"""What is wrong with a round folder, and in which file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.locations import ContentMissing


class RoundFault(InvalidProof):
    """A check of a round folder failed. ``check`` names it, ``file`` is where, the cause is what failed."""

    def __init__(self, check: str, file: Path, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{file}: {reason}", hint=hint)
        self.check = check
        self.file = file
        self.reason = reason


@contextmanager
def checking(check: str, file: Path) -> Iterator[None]:
    """What does not check out in the body becomes a fault of ``file``.

    A missing or malformed file is one too: here nobody called wrongly, the folder is not what it should be.
    """
    try:
        yield
    except RoundFault:
        raise
    except (InvalidProof, CallerError, ContentMissing) as error:
        raise RoundFault(check, file, error.message, hint=error.hint) from error


def demand(condition: bool, reason: str) -> None:
    """Raise :class:`InvalidProof` with ``reason`` unless ``condition``."""
    if not condition:
        raise InvalidProof(reason)
