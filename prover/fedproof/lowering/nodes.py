"""Nodes of the integer program."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Shape = tuple[int, ...]
#: Which input position each tap of each output position of a convolution reads; -1 for padding.
Taps = tuple[tuple[int, ...], ...]

#: int64 arithmetic of the reference must not overflow; the scalar field (254 bits) is far above it.
MAX_BOUND = 2**62
#: An equation over values below this cannot wrap around in the scalar field of 254 bits.
FIELD_BOUND = 2**252


@dataclass(frozen=True)
class Node:
    """One tensor of the program, and the operation that gives it."""

    id: int
    op: str
    inputs: tuple[int, ...]
    attrs: tuple[tuple[str, Any], ...]
    shape: Shape
    scale: int
    bound: int
    label: str

    def attr(self, name: str) -> Any:  # noqa: ANN401 - attributes are heterogeneous by nature
        """Value of the attribute ``name``."""
        return dict(self.attrs)[name]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)
