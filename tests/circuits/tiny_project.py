"""A project with the smallest circuits that are whole: three parameters, two samples, k = 9."""

from __future__ import annotations

from pathlib import Path

from fedproof.project import Project

MODEL = '''"""A linear model of two features."""

import torch


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.output(x)


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
'''

TRAINING = """kind = "training"
model = "models/tiny.py:Tiny"
loss = "models/tiny.py:squared"
batch = 2
sample = [2]
target = [1]
learning_rate_log2 = -1

[numbers]
table = 7
weights = 6
inputs = 4
targets = 4
activations = 5
gradients = 7
range = 7
step = 7

[plonk]
logrows = 9
columns = 2
"""

AVERAGE = """kind = "average"
of = "tiny"
table = 7

[plonk]
logrows = 9
"""


def tiny_project(root: Path) -> Project:
    """Write the declarations and the model; nothing is compiled."""
    for path, text in (
        ("models/tiny.py", MODEL),
        ("circuits/tiny.toml", TRAINING),
        ("circuits/tiny-average.toml", AVERAGE),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Project(root, root / "build")
