"""LeNet-5 for 28x28 images, with rectifiers and average pooling."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LeNet5(nn.Module):
    """Two convolutions, three linear layers, 61,706 parameters. Input (B, 784) in [0, 1].

    (B, 1, 28, 28) to 6 channels of 28x28, pooled to 14x14, to 16 channels of 10x10, pooled to 5x5, then
    120 and 84 units and 10 scores. As in LeCun's, averages are taken before the nonlinearity, which was tanh
    there; it costs a quarter of what it would cost the other way round.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 5, padding=2)
        self.second = nn.Conv2d(6, 16, 5)
        self.third = nn.Linear(400, 120)
        self.fourth = nn.Linear(120, 84)
        self.output = nn.Linear(84, 10)
        # As large as rectifiers need them: from torch's own start little is learnt in the first epoch.
        for layer in (self.first, self.second, self.third, self.fourth):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(self.output.weight)
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, 10) of a batch of flattened images."""
        x = x.reshape(-1, 1, 28, 28)
        x = torch.relu(functional.avg_pool2d(self.first(x), 2))
        x = torch.relu(functional.avg_pool2d(self.second(x), 2))
        x = torch.relu(self.third(x.flatten(1)))
        x = torch.relu(self.fourth(x))
        scores: Tensor = self.output(x)
        return scores
