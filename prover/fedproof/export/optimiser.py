"""How a gradient becomes a step: what is subtracted from the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Optimiser(Protocol):
    """One parameter tensor at a time; all shapes are that of the parameter."""

    @property
    def stateful(self) -> bool:
        """Whether a state of one element a parameter is carried from step to step."""
        ...

    def __call__(
        self, gradient: Tensor, parameter: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the step, to be subtracted from ``parameter``, and the new state."""
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent as in ``torch.optim.SGD``, the gradient clipped by value first.

    ``g = clamp(gradient, -clip, clip) + weight_decay * parameter``. With momentum ``v = momentum * v + g``
    and the step is ``learning_rate * v``, else it is ``learning_rate * g``.
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: float | None = None

    @property
    def stateful(self) -> bool:
        """With momentum, the velocity."""
        return self.momentum != 0

    def __call__(
        self, gradient: Tensor, parameter: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the step and the new velocity."""
        if self.clip is not None:
            gradient = torch.clamp(gradient, -self.clip, self.clip)
        if self.weight_decay:
            gradient = gradient + parameter * self.weight_decay
        if state is not None:
            gradient = state = state * self.momentum + gradient
        return gradient * self.learning_rate, state
