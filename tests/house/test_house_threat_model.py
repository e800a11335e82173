"""The threat model names tests: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.reference

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "docs" / "threat-model.md"
NAMED = re.compile(r"`([\w.]+?\.(?:py|t\.sol))::(\w+)`")
DEFINED = re.compile(r"^\s*(?:async )?(?:def|function) (\w+)\(", re.MULTILINE)


def defined_by_file() -> dict[str, set[str]]:
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "verifier_contracts" / "test").rglob("*.t.sol")]
    names = [path.name for path in files]
    assert len(names) == len(set(names)), (
        "two test files of one name: a name in the document would be ambiguous"
    )
    return {path.name: set(DEFINED.findall(path.read_text())) for path in files}


def test_every_test_that_the_threat_model_names_exists() -> None:
    known = defined_by_file()
    named = NAMED.findall(MODEL.read_text())
    assert len(named) > 80
    missing = [f"{file}::{test}" for file, test in named if test not in known.get(file, set())]
    assert not missing


def test_every_row_of_attacks_names_a_test() -> None:
    attacks = MODEL.read_text().split("## Attacks")[1].split("## Whom one trusts")[0]
    rows = [line for line in attacks.splitlines() if line.startswith("| ") and "| stopped by |" not in line]
    assert len(rows) > 30
    bare = [row for row in rows if not NAMED.search(row)]
    assert not bare


def test_every_attack_on_a_round_is_in_the_threat_model() -> None:
    """An attack that is tried and not told of is as good as unknown."""
    told = {test for _, test in NAMED.findall(MODEL.read_text())}
    known = defined_by_file()
    for file in ("test_round_attacks.py", "test_verifier_attacks.py", "test_registration_attacks.py"):
        assert {name for name in known[file] if name.startswith("test_")} <= told
