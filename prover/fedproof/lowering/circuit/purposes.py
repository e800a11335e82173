"""What an operation of the circuit is for: which kind of claim, about which tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["committed", "lookups", "equations", "functions"]


@dataclass(frozen=True)
class Purpose:
    """A kind of claim and the program's node it is about; None where several share the operation.

    ``committed`` are the cells of a committed vector itself, not of a claim.
    """

    kind: Kind
    node: int | None = None
