"""The tiny circuit of tests/circuits, compiled when a test proves, and values that it can prove."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "circuits"))

from tiny_project import tiny_project

from fedproof.circuits.store import CircuitStore
from fedproof.circuits.witness import late_vectors, sample_vectors
from fedproof.commitments import NO_CONTEXT


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return CircuitStore(tiny_project(tmp_path_factory.mktemp("project"))).get("tiny")


@pytest.fixture
def values(tiny):
    """``values(n)``: n times committed vectors, each with salts of its own and its challenge."""

    def make(count: int) -> list[list[list[int]]]:
        made = []
        for _ in range(count):
            vectors = sample_vectors(tiny.program)
            committed = [tiny.committer.full(v) for v in vectors]
            made.append([*vectors, *late_vectors(tiny.program, committed, NO_CONTEXT)])
        return made

    return make
