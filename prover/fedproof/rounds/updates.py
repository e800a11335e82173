"""Where an aggregator gets the updates of a round from. What comes from there is believed by nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import numpy as np

from fedproof.errors import CallerError, RetryableError
from fedproof.lowering.ir import IntArray


class UpdateMissing(RetryableError):
    """The update of ``trainer`` in a round is not there, yet."""

    def __init__(self, trainer: str) -> None:
        super().__init__(
            f"no update of {trainer} was received",
            hint="fetch it, or have the guardians leave the trainer out",
        )
        self.trainer = trainer


class Updates(Protocol):
    """Fetches updates. Whoever uses one checks it against its commitment on the hub first."""

    def fetch(self, round_number: int, trainer: str) -> IntArray:
        """Return the update (D + S,) of ``trainer``, an address with its checksum, as it was received.

        Raises :class:`UpdateMissing` if there is none yet, :class:`CallerError` if what is there is no
        update, :class:`RetryableError` if the place does not answer.
        """


class FolderUpdates:
    """Updates in ``root/TRAINER/roundN/update.json``, as trainers of this machine write them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fetch(self, round_number: int, trainer: str) -> IntArray:
        """See :class:`Updates`."""
        path = self.root / trainer / f"round{round_number}" / "update.json"
        if not path.is_file():
            raise UpdateMissing(trainer)
        return read_update(path)


def read_update(path: Path) -> IntArray:
    """Read an update that a trainer published; raises :class:`CallerError` if it is none."""
    try:
        return np.array(json.loads(path.read_text())["update"], dtype=np.int64)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as e:
        raise CallerError(f"{path} is not an update: {e}") from e
