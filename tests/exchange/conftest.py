"""Two rounds in folders, played once a session."""

from __future__ import annotations

import pytest
from folder_world import FolderWorld, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> FolderWorld:
    return make_world(tmp_path_factory.mktemp("folders"))
