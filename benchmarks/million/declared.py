"""The project of the measurement: a model of a million parameters, and the average of its updates."""

from __future__ import annotations

from math import isqrt
from pathlib import Path

from fedproof.circuits.spec import load_spec
from fedproof.commitments import RESERVED_ROWS
from fedproof.files import write_whole
from fedproof.project import Project

NAME = "million"
AVERAGE = f"{NAME}-average"
#: Bits of a digit, where the rows have room for them, and digits of a quotient.
TABLE, LIMBS = 16, 2
#: Columns of the circuit: what a column of digits needs, and what a full one needs.
NARROW, FULL = 3, 4

MODEL = '''"""A linear model: only how many parameters it has matters here."""

import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.output = torch.nn.Linear({side}, {side}, bias=False)

    def forward(self, x):
        return self.output(x)


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
'''

TRAINING = """# Declared for its length; it is not compiled.
kind = "training"
model = "models/model.py:Model"
loss = "models/model.py:squared"
batch = 1
sample = [{side}]
target = [{side}]
learning_rate_log2 = -4

[numbers]
table = {table}
weights = 27
inputs = 4
targets = 4
activations = 8
gradients = 15
model = 36

[plonk]
logrows = {logrows}
"""

SHARDED = """kind = "average"
of = "{name}"
table = {table}
limbs = {limbs}

[plonk]
logrows = {logrows}
columns = {columns}
shards = {shards}
"""


def declare(folder: Path, parameters: int, logrows: int, srs: Path) -> Project:
    """Write the declarations below ``folder``; return the project, whose SRS are those in ``srs``.

    One column of digits is proven at a time. Raises :class:`CallerError` for declarations that cannot be.
    """
    side = isqrt(parameters)
    if side * side != parameters:
        raise ValueError(f"{parameters} is not a square: the model is one square matrix")
    # The salt is a few elements more; it changes nothing but for vectors that barely fit.
    columns = (parameters + 64) // (2**logrows - RESERVED_ROWS) + 1
    fields: dict[str, object] = {"side": side, "name": NAME, "limbs": LIMBS, "logrows": logrows}
    fields["table"] = min(TABLE, logrows - 1)
    for path, text in (
        ("models/model.py", MODEL.format(**fields)),
        (f"circuits/{NAME}.toml", TRAINING.format(**fields)),
        (
            f"circuits/{AVERAGE}.toml",
            SHARDED.format(**fields, columns=NARROW if columns == 1 else FULL, shards=(LIMBS + 1) * columns),
        ),
    ):
        write_whole(folder / path, text)
    build = folder / "build"
    build.mkdir(exist_ok=True)
    if not (build / "srs").exists():
        (build / "srs").symlink_to(srs.resolve(), target_is_directory=True)
    load_spec(AVERAGE, folder / "circuits")
    return Project(folder, build)
