"""Which torch operators are rewritten while a step is traced, and by what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch._ops import OpOverload

Decomposition = TypeVar("Decomposition", bound=Callable[..., Any])

#: Torch operators and their decompositions. They run below autograd: what they call is recorded as it is.
DECOMPOSITIONS: dict[OpOverload, Callable[..., Any]] = {}

aten = torch.ops.aten
#: What a decomposition returns where the operator is canonical as it is.
CANONICAL = cast(Tensor, NotImplemented)


def decomposes(*operators: OpOverload) -> Callable[[Decomposition], Decomposition]:
    """Register a function as the decomposition of ``operators``, whose signature it has."""

    def register(function: Decomposition) -> Decomposition:
        for operator in operators:
            DECOMPOSITIONS[operator] = function
        return function

    return register
