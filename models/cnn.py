"""A small convolutional network for 8x8 images."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class CNN(nn.Module):
    """Two convolutions with max pooling, then a linear layer; 426 parameters. Input (B, 64) in [0, 1].

    (B, 1, 8, 8) to 4 channels of 8x8, pooled to 4x4, to 8 channels of 2x2, pooled to one; 10 scores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 8, 3)
        self.output = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        x = x.reshape(-1, 1, 8, 8)
        x = torch.relu(functional.max_pool2d(self.first(x), 2))
        x = torch.relu(functional.max_pool2d(self.second(x), 2))
        scores: Tensor = self.output(x.flatten(1))
        return scores
