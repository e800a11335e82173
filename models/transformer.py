"""A transformer of one block over the rows of an 8x8 image."""

from torch import Tensor, nn
from torch.nn import functional

TOKENS, PIXELS = 8, 8


class Transformer(nn.Module):
    """Rows as tokens (B, 8, 8), width 16, two heads of 8, 32 hidden units; mean over tokens, 10 scores.

    Input (B, 64) in [0, 1]; 2,666 parameters. Normalised before attention and before the feed-forward part.
    """

    def __init__(self, width: int = 16, heads: int = 2, hidden: int = 32) -> None:
        super().__init__()
        self.heads = heads
        self.embedding = nn.Linear(PIXELS, width)
        self.position = nn.Embedding(TOKENS, width)
        self.before_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.before_forward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.output = nn.Linear(width, 10)
        # Positions are not to drown the pixels, which are between 0 and 1.
        self.position.weight.detach().mul_(0.25)
        for layer in (self.embedding, self.queries_keys_values, self.attended, self.expand, self.contract):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def attend(self, x: Tensor) -> Tensor:
        """Self-attention over tokens: (B, 8, width) to the same."""
        b, t, w = x.shape
        split = self.queries_keys_values(x).reshape(b, t, 3, self.heads, w // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, w)
        result: Tensor = self.attended(mixed)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        x = self.embedding(x.reshape(-1, TOKENS, PIXELS)) + self.position.weight
        x = x + self.attend(self.before_attention(x))
        x = x + self.contract(functional.gelu(self.expand(self.before_forward(x))))
        scores: Tensor = self.output(x.mean(1))
        return scores
