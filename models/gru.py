"""A gated recurrent unit that reads an 8x8 image row by row."""

import torch
from torch import Tensor, nn

ROWS, PIXELS = 8, 8


class GRU(nn.Module):
    """16 units over 8 rows of 8 pixels, then 10 scores; 1,418 parameters. Input (B, 64) in [0, 1]."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.cell = nn.GRUCell(PIXELS, width)
        self.output = nn.Linear(width, 10)
        # A state that is turned, neither stretched nor shrunk, from one row to the next.
        nn.init.xavier_uniform_(self.cell.weight_ih)
        for gate in range(3):
            nn.init.orthogonal_(self.cell.weight_hh.detach()[gate * width : (gate + 1) * width])
        for zero in (self.cell.bias_ih, self.cell.bias_hh, self.output.weight, self.output.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        state = torch.zeros(len(x), self.width, dtype=x.dtype)
        for row in x.reshape(-1, ROWS, PIXELS).unbind(1):
            state = self.cell(row, state)
        scores: Tensor = self.output(state)
        return scores
