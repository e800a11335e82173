"""``fedproof circuits explain`` and ``tune``: what they print, write, and refuse."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from cli_project import Command

pytestmark = pytest.mark.reference


@pytest.fixture
def data(project: Path) -> Path:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 17, (60, 3)) / 16
    path = project / "data.npz"
    np.savez(path, x=x, y=np.eye(2)[(x[:, 0] > x[:, 1]).astype(int)])
    return path


def test_a_circuit_is_explained(project: Path, data: Path, fedproof: Command) -> None:
    found = fedproof("circuits", "explain", "tiny", "--data", data, "--json").json
    assert sum(layer["cells"] for layer in found["layers"]) == found["cells"]
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1)
    assert {"model", "batch", "output (gradient)"} <= {layer["layer"] for layer in found["layers"]}
    assert found["error"] > 0
    batch = next(layer for layer in found["layers"] if layer["layer"] == "batch")
    assert (batch["tightest"]["low"], batch["tightest"]["high"]) in [(-8, 8), (-16, 16)]
    text = fedproof("circuits", "explain", "tiny").out
    assert "output (gradient)" in text
    assert "predicted: prove" in text
    assert "error" not in text, "no data, no error"


def test_a_circuit_is_tuned(project: Path, data: Path, fedproof: Command) -> None:
    path = project / "circuits" / "tiny.toml"
    before = path.read_text()
    command = ("circuits", "tune", "tiny", "--data", data, "--error", 0.5, "--seconds", 1, "--epochs", 1)
    dry = fedproof(*command, "--dry-run", "--json").json
    assert path.read_text() == before
    assert dry["written"] == []
    assert dry["chosen"]["error"] <= 0.5
    found = fedproof(*command, "--json").json
    assert found["written"][0] == "tiny"
    written = tomllib.loads(path.read_text())
    assert written["numbers"]["activations"] == found["chosen"]["numbers"]["activations"]
    assert written["plonk"]["logrows"] == found["chosen"]["plonk"]["logrows"]
    average = tomllib.loads((project / "circuits" / "tiny-average.toml").read_text())
    assert average["plonk"]["logrows"] == written["plonk"]["logrows"]


def test_nothing_within_the_budgets(project: Path, data: Path, fedproof: Command) -> None:
    before = (project / "circuits" / "tiny.toml").read_text()
    fedproof("circuits", "tune", "tiny", "--data", data, "--gas", 1, "--seconds", 1).failed(2, "budgets")
    assert (project / "circuits" / "tiny.toml").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "tiny-average"], ["of kind 'average'"]),
        (["explain", "nope"], ["no circuit 'nope'"]),
        (["explain", "tiny", "--data", "none.npz"], ["none.npz"]),
        (["tune", "tiny"], ["--data"]),
    ],
)
def test_what_cannot_be_tuned(
    arguments: list[str], words: list[str], project: Path, fedproof: Command
) -> None:
    fedproof("circuits", *arguments).failed(2, *words)
