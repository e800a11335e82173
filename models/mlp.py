"""A small multilayer perceptron for 8x8 images."""

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """64 pixels to 16 rectified units to 10 scores. Input (B, 64) in [0, 1], output (B, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 16)
        self.output = nn.Linear(16, 10)
        # With all scores zero at the start, the first steps learn the data and not the initial noise.
        nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu")
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of a batch of flattened images."""
        scores: Tensor = self.output(torch.relu(self.hidden(x)))
        return scores
