"""The tiny circuit of tests/circuits, compiled once a session, and an honest proof of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "circuits"))

from tiny_project import tiny_project

from fedproof.circuits.store import CircuitStore
from fedproof.circuits.witness import late_vectors, sample_vectors
from fedproof.commitments import NO_CONTEXT
from fedproof.provers import CpuProver


@pytest.fixture(scope="session")
def circuit(tmp_path_factory):
    return CircuitStore(tiny_project(tmp_path_factory.mktemp("project"))).get("tiny")


@pytest.fixture(scope="session")
def slots(circuit):
    """What is committed to, and the late vector: the challenge."""
    vectors = sample_vectors(circuit.program)
    committed = [circuit.committer.full(v) for v in vectors]
    return [*vectors, *late_vectors(circuit.program, committed, NO_CONTEXT)]


@pytest.fixture(scope="session")
def proven(circuit, slots):
    return CpuProver().prove(circuit.folder, circuit.srs.path, slots)
