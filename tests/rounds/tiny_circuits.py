"""A training circuit and its average, small and not compiled: everything of a circuit but its keys.

Programs, shapes and commitments are the real ones. What would be proven goes to a prover that only notes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from fedproof.circuits import AverageSpec, Costs, Manifest, SlotShape, TrainingSpec, load_spec
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import LATE
from fedproof.commitments import Committer
from fedproof.provers import ProofRun
from fedproof.srs import Srs, SrsStore

MODEL = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.output = nn.Linear(3, 2)

    def forward(self, x):
        return self.output(x)


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
"""

TRAINING = """
kind = "training"
model = "models/tiny.py:Tiny"
loss = "models/tiny.py:squared"
batch = 2
sample = [3]
target = [2]
learning_rate_log2 = -2

[numbers]
table = 8
weights = 6
inputs = 4
targets = 3
activations = 4
gradients = 7
range = 8
step = 7
model = 12

[plonk]
logrows = 9
columns = 2
"""

MOMENTUM = TRAINING + "\n[optimiser]\nmomentum = 0.5\n"

AVERAGE = """
kind = "average"
of = "tiny"
table = 8

[plonk]
logrows = 9
"""

PARAMETERS, BATCH = 8, 2


def sample_data(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples that the tiny circuit can hold: x (count, 3), y (count, 2)."""
    generator = np.random.default_rng(seed)
    return generator.uniform(-0.4, 0.4, (count, 3)), generator.uniform(-0.4, 0.4, (count, 2))


@dataclass
class NotingProver:
    """Notes what it was asked to prove; its proofs are the commitments and padding, and it accepts all."""

    circuit: Circuit
    asked: list[list[list[int]]] = field(default_factory=list)
    valid: bool = True
    name: str = "noting"
    parallel: int = 1

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        self.asked.append([list(s) for s in slots])
        points = [p for s in slots for p in self.circuit.committer.full(list(s))]
        raw = b"".join(p.to_bytes() for p in points)
        manifest = self.circuit.manifest
        instances = (*manifest.instances, slots[-1][0]) if manifest.challenge_points else manifest.instances
        return ProofRun(raw.ljust(manifest.costs.proof_bytes, b"\1"), instances, 0.1, 0.2, 1)

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        return self.valid


def _circuit(name: str, folder: Path, srs: Srs, spec: TrainingSpec | AverageSpec) -> Circuit:
    training = spec if isinstance(spec, TrainingSpec) else load_spec(spec.of, folder / "circuits")
    assert isinstance(training, TrainingSpec)
    program = build_program(spec, folder / "circuits", float_graph(training, folder))
    committer = Committer(srs.path, spec.plonk.logrows)
    slots = tuple(
        SlotShape(name=s.name, length=program.slot_size(s), salt=s.salt, columns=1) for s in program.slots
    )
    hashed = len(slots) if program.challenged else 0
    if hashed:
        slots += (SlotShape(name=LATE, length=1, salt=0, columns=1),)
    manifest = Manifest(
        name=name,
        key=f"key-of-{name}",
        spec=spec,
        slots=slots,
        instances=(program.lookups,),
        challenge_points=hashed,
        srs_digest=srs.digest,
        development=True,
        versions={},
        run_args={},
        artefacts={},
        costs=Costs(
            logrows=spec.plonk.logrows, rows=1, cells=1, columns=1, lookups=program.lookups, commitments=4,
            proof_bytes=512, proving_key_bytes=1, setup_s=0, prove_s=0, prove_peak_bytes=1,
        ),
    )  # fmt: skip
    circuit = Circuit(folder, manifest, srs)
    vars(circuit).update(program=program, committer=committer)
    return circuit


@pytest.fixture(scope="session")
def tiny_srs(tmp_path_factory: pytest.TempPathFactory) -> Srs:
    return SrsStore(tmp_path_factory.mktemp("tiny-srs")).ensure_development(9)


def project_circuits(root: Path, srs: Srs, training: str = TRAINING) -> tuple[Circuit, Circuit]:
    """Declare the model, a ``training`` circuit of it and its average in ``root``; return the two."""
    for name, text in (
        ("models/tiny.py", MODEL), ("circuits/tiny.toml", training), ("circuits/tiny-average.toml", AVERAGE)
    ):  # fmt: skip
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    step, mean = (
        _circuit(name, root, srs, load_spec(name, root / "circuits")) for name in ("tiny", "tiny-average")
    )
    return step, mean


@pytest.fixture(scope="session")
def circuits(tmp_path_factory: pytest.TempPathFactory, tiny_srs: Srs) -> tuple[Circuit, Circuit]:
    return project_circuits(tmp_path_factory.mktemp("tiny-project"), tiny_srs)


@pytest.fixture(scope="session")
def momentum_circuits(tmp_path_factory: pytest.TempPathFactory, tiny_srs: Srs) -> tuple[Circuit, Circuit]:
    """The same with momentum: each step takes the optimiser's state and hands it on."""
    return project_circuits(tmp_path_factory.mktemp("momentum-project"), tiny_srs, MOMENTUM)


@pytest.fixture(scope="session")
def training(circuits: tuple[Circuit, Circuit]) -> Circuit:
    """One SGD step of a 3 -> 2 linear model on a batch of 2."""
    return circuits[0]


@pytest.fixture(scope="session")
def average(circuits: tuple[Circuit, Circuit]) -> Circuit:
    """The average of its updates."""
    return circuits[1]
