"""A project with one small network, whose step is proven in three segments: k = 9, one hidden layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedproof.project import Project

SEGMENTS = 3

MODEL = '''"""A network of two inputs, three hidden units and one output."""

import torch


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(2, 3)
        self.output = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.output(torch.relu(self.hidden(x)))


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
'''

TRAINING = """kind = "training"
model = "models/small.py:Small"
loss = "models/small.py:squared"
batch = 2
sample = [2]
target = [1]
learning_rate_log2 = -1

[numbers]
table = 7
weights = 12
inputs = 4
targets = 4
activations = 5
gradients = 7

[plonk]
logrows = 9
columns = 2
"""


def segmented_project(root: Path, segments: int = SEGMENTS) -> Project:
    """Write the declarations ``whole`` and ``cut`` of one step; compile nothing."""
    for path, text in (
        ("models/small.py", MODEL),
        ("circuits/whole.toml", TRAINING),
        ("circuits/cut.toml", f"{TRAINING}segments = {segments}\n"),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Project(root, root / "build")


def samples(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch: x (2, 2), y (2, 1)."""
    g = np.random.default_rng(seed)
    return g.uniform(-0.5, 0.5, (2, 2)), g.uniform(-0.5, 0.5, (2, 1))


def parameters(seed: int) -> np.ndarray:
    """A model (13,)."""
    return np.random.default_rng(seed).uniform(-0.4, 0.4, 13)
