"""Tiny federations: one with real proofs, compiled once a session, and one whose prover believes all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "circuits"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rounds"))

from flower_stage import Stage
from flower_world import Believing, World, with_key
from tiny_circuits import average, circuits, momentum_circuits, tiny_srs, training
from tiny_project import tiny_project

from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.provers import CpuProver

__all__ = ["average", "circuits", "momentum_circuits", "tiny_srs", "training"]


@pytest.fixture(scope="session")
def quick(circuits: tuple[Circuit, Circuit], tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything but proofs: programs, shapes, commitments and signatures are the real ones."""
    step, mean = map(with_key, circuits)
    return World(step, mean, Believing(step, mean), tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store = CircuitStore(tiny_project(tmp_path_factory.mktemp("flower-project")))
    prover = CpuProver()
    yield World(store.get("tiny"), store.get("tiny-average"), prover, tmp_path_factory.mktemp("world"))
    prover.close()


@pytest.fixture(scope="session")
def played(quick: World, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(quick, tmp_path_factory.mktemp("stage"))


@pytest.fixture
def stage(played: Stage) -> Stage:
    """A round in which both trainers have answered, and nothing was accepted or refused yet."""
    return played.again()
