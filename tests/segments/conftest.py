"""One step in three segments, compiled once a session, and honest proofs of it."""

from __future__ import annotations

import numpy as np
import pytest
from segmented_project import segmented_project
from segmented_steps import OURS, Taken, taken

from fedproof.circuits.store import Circuit, CircuitStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> CircuitStore:
    return CircuitStore(segmented_project(tmp_path_factory.mktemp("segmented")))


@pytest.fixture(scope="session")
def circuit(store: CircuitStore) -> Circuit:
    return store.get("cut")


@pytest.fixture(scope="session")
def honest(circuit: Circuit) -> Taken:
    return taken(circuit, 0, OURS)


@pytest.fixture(scope="session")
def another(circuit: Circuit) -> Taken:
    """Another step from another model, for the same context."""
    return taken(circuit, 1, OURS)


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Salts are zero, so that two circuits take the same step."""
    for module in ("trainer", "vectors"):
        monkeypatch.setattr(
            f"fedproof.rounds.{module}.random_small", lambda count, bits: np.zeros(count, dtype=np.int64)
        )
