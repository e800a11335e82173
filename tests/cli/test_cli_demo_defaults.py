"""The command's defaults are spelled out for a fast --help; they stay those of the demo itself."""

from __future__ import annotations

import inspect

import pytest

from fedproof.cli.commands.demo import demo
from fedproof.demo.options import DemoOptions

pytestmark = pytest.mark.reference


def test_the_command_has_the_defaults_of_the_demo() -> None:
    command = {name: p.default for name, p in inspect.signature(demo).parameters.items() if name != "json"}
    assert command == DemoOptions().model_dump()
