"""Circuits without keys for what is quick, and the rounds in folders of tests/exchange for what is proven."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rounds"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "exchange"))

from folder_world import FolderWorld, shared_world
from tiny_circuits import average, circuits, tiny_srs, training

__all__ = ["average", "circuits", "tiny_srs", "training"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> FolderWorld:
    return shared_world(lambda: tmp_path_factory.mktemp("folders"))
