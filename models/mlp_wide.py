"""Multilayer perceptrons for 28x28 images."""

import torch
from torch import Tensor, nn


class WideMLP(nn.Module):
    """784 pixels to 32 rectified units to 10 scores, 25,450 parameters. Input (B, 784) in [0, 1]."""

    def __init__(self, units: int = 32) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, units)
        self.output = nn.Linear(units, 10)
        nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu")
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        scores: Tensor = self.output(torch.relu(self.hidden(x)))
        return scores


class LargeMLP(WideMLP):
    """784 pixels to 128 rectified units to 10 scores, 101,770 parameters. Input (B, 784) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__(128)
