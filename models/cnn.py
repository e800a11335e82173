"""A small convolutional network for 8x8 images."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class CNN(nn.Module):
    """Two convolutions with max pooling, then a linear layer; 384 parameters. Input (B, 64) in [0, 1].

    (B, 1, 8, 8) to 2 channels of 8x8, pooled to 4x4, to 6 channels of 4x4, pooled to 2x2; 10 scores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.second = nn.Conv2d(2, 6, 3, padding=1)
        self.output = nn.Linear(24, 10)
        # As large as rectifiers need them: with torch's own start this network learns late, and badly.
        for layer in (self.first, self.second):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(self.output.weight)
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        x = x.reshape(-1, 1, 8, 8)
        x = torch.relu(functional.max_pool2d(self.first(x), 2))
        x = torch.relu(functional.max_pool2d(self.second(x), 2))
        scores: Tensor = self.output(x.flatten(1))
        return scores
