"""The command's defaults are spelled out for a fast --help; they stay those of the demo itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from fedproof.cli.commands.demo import demo
from fedproof.demo.options import DemoOptions
from fedproof.demo.stages import MARKER, demand_own
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference


def test_the_command_has_the_defaults_of_the_demo() -> None:
    command = {name: p.default for name, p in inspect.signature(demo).parameters.items() if name != "json"}
    assert command == DemoOptions().model_dump()


def test_only_a_folder_of_its_own_is_emptied(tmp_path: Path) -> None:
    demand_own(tmp_path / "new")
    demand_own(tmp_path)
    (tmp_path / "devnet").mkdir()
    (tmp_path / "store").mkdir()
    with pytest.raises(CallerError, match="is not empty and holds no demo"):
        demand_own(tmp_path)
    (tmp_path / MARKER).touch()
    demand_own(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CallerError, match="holds no demo"):
        demand_own(tmp_path / "file")
