"""The description of the record names every key."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedproof.record.schema import shipped_schema

pytestmark = pytest.mark.reference

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "run-record.md").read_text(encoding="utf-8")


def test_every_key_is_described() -> None:
    schema = shipped_schema()
    parts = [schema, *schema["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})}
    missing = {key for key in keys if not any(f"{mark}{key}" in TEXT for mark in "`.")}
    assert not missing
