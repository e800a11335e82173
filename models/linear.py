"""A linear classifier of 8x8 images."""

from torch import Tensor, nn


class Linear(nn.Module):
    """64 pixels to 10 scores. Input (B, 64) in [0, 1], output (B, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of a batch of flattened images."""
        scores: Tensor = self.output(x)
        return scores
