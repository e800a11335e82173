"""Flower is an extra: nothing imports it unless asked, and without it the message says what to do."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

import fedproof
import fedproof.flower
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference

PACKAGE = Path(fedproof.__file__).parent


def test_nothing_else_imports_it() -> None:
    wanted = re.compile(r"^\s*(from|import) (flwr|fedproof\.flower)\b", re.M)
    found = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if wanted.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"flower"}


def test_without_it_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CallerError, match=r"needs Flower \(pip install 'fedproof\[flower\]'\)"):
        importlib.reload(fedproof.flower)
    monkeypatch.undo()
    importlib.reload(fedproof.flower)
