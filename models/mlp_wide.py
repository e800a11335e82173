"""A multilayer perceptron for 28x28 images."""

import torch
from torch import Tensor, nn


class WideMLP(nn.Module):
    """784 pixels to 32 rectified units to 10 scores, 25,450 parameters. Input (B, 784) in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, 32)
        self.output = nn.Linear(32, 10)
        nn.init.kaiming_uniform_(self.hidden.weight, nonlinearity="relu")
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        scores: Tensor = self.output(torch.relu(self.hidden(x)))
        return scores
