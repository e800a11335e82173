"""The example, run as its README says: Flower's own engine, honest clients, and one that cheats."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fedproof.circuits.store import CircuitStore
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.verify import verify_rounds
from fedproof.project import Project
from fedproof.provers import CpuProver

pytestmark = [pytest.mark.e2e, pytest.mark.ray]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flower-digits"
CHEAT = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"


def command() -> list[str]:
    """What the README tells to run."""
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    line, _hub = re.findall(r"^    (flwr run .*)$", text, re.M)
    return shlex.split(line)


def free_port() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Flower with a home and ports of its own; nothing of it runs on."""
    home = tmp_path / "flwr"
    yield {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FLWR_HOME": str(home),
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": free_port(),
        "FLWR_LOCAL_CONTROL_API_PORT": free_port(),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_ADDRESS": "local",
        "RAY_USAGE_STATS_ENABLED": "0",
        "FEDPROOF_JOBS": str(tmp_path / "jobs"),
    }
    end(home)


def end(home: Path) -> None:
    """End the SuperLink that was started over ``home``, and all that it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(home) in " ".join(process.cmdline()):
                found += [process, *process.children(recursive=True)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=10)


def run(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the example's folder. Flower gives its SuperLink 15 s, too few on a busy machine."""
    for _ in range(4):
        done = subprocess.run(
            words,
            cwd=EXAMPLE,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        if "Failed to start local SuperLink" not in done.stdout:
            break
    return done


def test_the_example_drops_its_cheat(environment: dict[str, str], tmp_path: Path) -> None:
    project = Project.find(EXAMPLE)
    store = CircuitStore(project)
    circuits = {name: store.get(name) for name in ("digits-linear", "digits-linear-average")}
    done = run([*command(), "--run-config", f"folder='{tmp_path / 'run'}'"], environment)
    assert done.returncode == 0, done.stdout
    for number in (1, 2):
        assert re.search(
            rf"round {number}: dropped the reply of node \d+ \({CHEAT}\): the update", done.stdout
        )
        assert f"round {number}: 3 replies hold, 1 do not" in done.stdout
    folders = [tmp_path / "run" / "rounds" / f"round{n}" for n in (1, 2)]
    with CpuProver() as prover:
        reports = verify_rounds(folders, circuits.__getitem__, prover=prover)
    assert [len(r.included) for r in reports] == [3, 3]
    for folder in folders:
        assert [left.trainer for left in RoundFolder(folder).result.left_out] == [CHEAT]
