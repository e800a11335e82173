"""Averages in shards, compiled once a session, and honest proofs of them."""

from __future__ import annotations

import pytest
from sharded_averages import Averaged
from sharded_project import sharded_project

from fedproof.circuits.store import Circuit, CircuitStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> CircuitStore:
    return CircuitStore(sharded_project(tmp_path_factory.mktemp("sharded")))


@pytest.fixture(scope="session")
def small(store: CircuitStore) -> Circuit:
    """The average of a vector in one column."""
    return store.get("small-average")


@pytest.fixture(scope="session")
def long(store: CircuitStore) -> Circuit:
    """The average of a vector in two columns, the first of them full."""
    return store.get("long-average")


@pytest.fixture(scope="session")
def honest(small: Circuit) -> Averaged:
    return Averaged.of(small, 0)


@pytest.fixture(scope="session")
def another(small: Circuit) -> Averaged:
    """The average of other updates, as of another round."""
    return Averaged.of(small, 1)


@pytest.fixture(scope="session")
def honest_long(long: Circuit) -> Averaged:
    return Averaged.of(long, 0)
