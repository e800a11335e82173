"""A project whose averages are proven in shards: of a small model, and of one longer than a column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedproof.project import Project

MODEL = '''"""Linear models of two features, and of fifty."""

import torch


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(2, 1)

    def forward(self, x):
        return self.output(x)


class Long(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(50, 11)

    def forward(self, x):
        return self.output(x)


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
'''

TRAINING = """kind = "training"
model = "models/linear.py:{model}"
loss = "models/linear.py:squared"
batch = 2
sample = [{inputs}]
target = [{outputs}]
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
columns = {columns}
"""

AVERAGE = """kind = "average"
of = "{of}"
table = 7
limbs = 2

[plonk]
logrows = 9
columns = {columns}
shards = {shards}
"""

#: Shards of the small average: three columns of digits, two to a proof, and room for a fourth.
SHARDS = 2
#: Those of the long one: two columns of the vector, three digits each, one to a proof.
MANY = 6
BITS = 7


def average_text(of: str, shards: int, columns: int = 1) -> str:
    """The declaration of an average."""
    return AVERAGE.format(of=of, shards=shards, columns=columns)


def sharded_project(root: Path) -> Project:
    """Write the declarations ``small`` and ``long`` of a step and their averages; compile nothing."""
    for path, text in (
        ("models/linear.py", MODEL),
        ("circuits/small.toml", TRAINING.format(model="Small", inputs=2, outputs=1, columns=2)),
        ("circuits/long.toml", TRAINING.format(model="Long", inputs=50, outputs=11, columns=4)),
        ("circuits/small-average.toml", average_text("small", SHARDS)),
        ("circuits/long-average.toml", average_text("long", MANY, 4)),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Project(root, root / "build")


def updates(length: int, count: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Updates (D + S,) that an average of them has room for."""
    generator = np.random.default_rng(seed)
    return [generator.integers(-127, 128, length) for _ in range(count)]


def exact(vectors: Sequence[np.ndarray], weights: Sequence[int]) -> np.ndarray:
    """The weighted average, rounded half up."""
    total = np.asarray(weights) @ np.stack(vectors)
    return (total + 2 ** (BITS - 1)) // 2**BITS
