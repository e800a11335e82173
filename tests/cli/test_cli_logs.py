"""Where the command's log lines go."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from fedproof.cli.logs import configure, log

pytestmark = pytest.mark.reference


@pytest.fixture(autouse=True)
def _defaults():
    yield
    structlog.reset_defaults()


def test_lines_go_to_the_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configured under one stderr that is closed since, as a test runner's or an embedding program's is."""
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    configure(verbose=False)
    log().info("before")
    assert "before" in first.getvalue()
    first.close()
    monkeypatch.setattr(sys, "stderr", second)
    log().info("after")
    assert "after" in second.getvalue()
