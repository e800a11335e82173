"""The set-up itself: what is pinned, and what make offers."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.reference

ROOT = Path(__file__).resolve().parents[2]


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    for line in wanted:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line), f"not a plain pin: {line}"
    return dict(line.split("==") for line in wanted)


def test_lock_covers_every_dependency_of_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # The extra for developers holds all others.
    extras = project["optional-dependencies"]
    direct = [*project["dependencies"], *(text for texts in extras.values() for text in texts)]
    todo = [Requirement(text) for text in direct if not text.startswith("fedproof[")]
    assert extras["dev"][0] == f"fedproof[{','.join(e for e in extras if e != 'dev')}]"
    pinned, seen = pins(), set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        assert name in pinned, f"{name} is not in requirements.lock: make lock"
        assert wanted.specifier.contains(pinned[name]), f"{wanted} is not met by {pinned[name]}"
        if name in seen:
            continue
        seen.add(name)
        for text in metadata.distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in wanted.extras or {""}
            ):
                todo.append(needed)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the path")
def test_make_help_lists_the_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE))
    assert {
        "help", "setup", "demo", "test", "test-fast", "test-wheel", "circuits", "circuit-NAME", "prove-NAME",
        "verify-NAME", "contracts", "devnet", "bench", "costs", "lint", "format", "clean", "distclean",
    } <= listed  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_holds_nothing_generated_and_no_place() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in tracked.stdout.splitlines():
        assert not re.match(r"(build|\.venv)/|.*node_modules/|.*\.(onnx|pk|vk|srs|key)$", name), name
    for lock in ROOT.glob("**/package-lock.json"):
        if "node_modules" not in lock.parts:
            assert '"resolved"' not in lock.read_text(), f"{lock.name} names a registry"
