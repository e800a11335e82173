"""Order of the tiers: what is fast fails first."""

from __future__ import annotations

import pytest

TIERS = ("reference", "witness", "prove", "evm", "e2e", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by the slowest tier a test is marked with; the order within a tier stays."""

    def tier(item: pytest.Item) -> int:
        return max((TIERS.index(mark.name) for mark in item.iter_markers() if mark.name in TIERS), default=0)

    items.sort(key=tier)
