"""Two rounds in folders, played once a session."""

from __future__ import annotations

import pytest
from folder_world import FolderWorld, shared_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> FolderWorld:
    return shared_world(lambda: tmp_path_factory.mktemp("folders"))
