"""A tiny project, compiled once a session."""

from __future__ import annotations

import pytest
from tiny_project import tiny_project

from fedproof.circuits.store import CircuitStore


@pytest.fixture
def project(tmp_path):
    """A fresh tiny project in which nothing is compiled."""
    return tiny_project(tmp_path)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A store with both tiny circuits compiled; tests leave it as it is, or put it back."""
    store = CircuitStore(tiny_project(tmp_path_factory.mktemp("project")))
    store.get("tiny")
    store.get("tiny-average")
    return store
