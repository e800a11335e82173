"""The plain PyTorch example, run as its README says, on less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["pytorch"])
def test_an_example_runs_as_its_readme_says(name: str, tmp_path: Path) -> None:
    readme = (ROOT / "examples" / name / "README.md").read_text()
    command = f"examples/{name}/train.py"
    assert f".venv/bin/python {command}" in readme
    arguments = ["--folder", str(tmp_path / "out"), "--trainers", "2", "--rounds", "1", "--steps", "1"]
    paths = os.pathsep.join([str(ROOT / "prover"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, command, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths, "FEDPROOF_JOBS": str(tmp_path / "jobs")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 rounds hold, 3 proofs verified" in done.stdout
