"""A project with one tiny circuit of every kind: nine parameters, three classes, k = 9 or 10."""

from __future__ import annotations

from pathlib import Path

from fedproof.project import Project

MODEL = '''"""Three scores of two features; the same with dropout before them."""

import torch


class Scores(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear(2, 3)

    def forward(self, x):
        return self.output(x)


class Dropping(Scores):
    def __init__(self):
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        return self.output(self.drop(x))


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
'''

NUMBERS = """
[numbers]
table = 8
weights = 10
inputs = 4
targets = 4
activations = 6
gradients = 8
range = 12
step = 12
"""

PLONK = """
[plonk]
logrows = 9
columns = 2
"""

LARGER = """
[plonk]
logrows = 10
columns = 3
"""

DATA = """batch = 4
sample = [2]
target = [3]
"""

TRAINING = f"""kind = "training"
model = "models/scores.py:Scores"
loss = "models/scores.py:squared"
learning_rate_log2 = -1
{DATA}{NUMBERS}{PLONK}"""

OPTIMISER = """
[optimiser]
momentum = 0.5
weight_decay = 0.25
clip = 0.5
"""

FORWARD = f"""kind = "inference"
of = "scores"
batch = 4
{PLONK}"""

DECLARATIONS = {
    "scores": TRAINING,
    "scores-momentum": TRAINING.replace(PLONK, LARGER) + OPTIMISER,
    "scores-dropping": TRAINING.replace(":Scores", ":Dropping"),
    "scores-inference": FORWARD,
    "scores-evaluation": FORWARD.replace('"inference"', '"evaluation"'),
}


def kinds_project(root: Path) -> Project:
    """Write the declarations and the model; nothing is compiled."""
    (root / "models").mkdir(parents=True, exist_ok=True)
    (root / "circuits").mkdir(exist_ok=True)
    (root / "models" / "scores.py").write_text(MODEL)
    for name, text in DECLARATIONS.items():
        (root / "circuits" / f"{name}.toml").write_text(text)
    return Project(root, root / "build")
