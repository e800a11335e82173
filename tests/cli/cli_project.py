"""A project of its own for the tests of the command: circuits that compile and prove in seconds."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from fedproof.cli import run

WORKER = "fedproof.provers.cpu.worker"
#: Projects that are compiled: each folder of tests has one of its own, the second copies the first.
_COMPILED: list[Path] = []
SOURCES = Path(__file__).resolve().parents[2] / "prover"

MODEL = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.output = nn.Linear(3, 2)

    def forward(self, x):
        return self.output(x)


class Curved(Tiny):
    def forward(self, x):
        return self.output(x).asin()


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]
"""

TRAINING = """
kind = "training"
model = "models/tiny.py:{model}"
loss = "models/tiny.py:squared"
batch = 2
sample = [3]
target = [2]
learning_rate_log2 = -2

[numbers]
table = 8
weights = 6
inputs = 4
targets = 3
activations = 4
gradients = 7
range = 8
step = 8

[plonk]
logrows = 9
columns = 2
"""

AVERAGE = """
kind = "average"
of = "tiny"
table = 8

[plonk]
logrows = 9
columns = 1
"""

STEP = {"model": [0.0] * 8, "x": [[0.5, -0.25, 0.125]] * 2, "y": [[1.0, 0.0], [0.0, 1.0]]}


@dataclass(frozen=True)
class Answer:
    """What a run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def failed(self, code: int, *words: str) -> Answer:
        """Assert that it failed with ``code`` and one error line with all of ``words``."""
        assert self.code == code, (self.code, self.out, self.err)
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, (word, self.err)
        return self


Command = Callable[..., Answer]


def write_project(root: Path) -> Path:
    (root / "models").mkdir(parents=True)
    (root / "models" / "tiny.py").write_text(MODEL)
    (root / "circuits").mkdir()
    (root / "circuits" / "tiny.toml").write_text(TRAINING.format(model="Tiny"))
    (root / "circuits" / "tiny-average.toml").write_text(AVERAGE)
    return root


def environment(project: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FEDPROOF_")}
    paths = os.pathsep.join([str(SOURCES), *filter(None, [kept.get("PYTHONPATH")])])
    return kept | {"FEDPROOF_PROJECT": str(project), "PYTHONPATH": paths} | more


def start(project: Path, arguments: Sequence[str], **more: Any) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    env: Mapping[str, str] = more.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-c", "from fedproof.cli import main; main()", *map(str, arguments)],
        env=environment(project, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def finish(process: subprocess.Popen[str], timeout: float = 240) -> Answer:
    out, err = process.communicate(timeout=timeout)
    return Answer(process.returncode, out, err)


@pytest.fixture
def fedproof(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command within this process, where libraries are loaded once."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project: declarations, nothing compiled."""
    root = write_project(tmp_path / "project")
    _enter(monkeypatch, root)
    return root


@pytest.fixture(scope="session")
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_project(tmp_path_factory.mktemp("compiled") / "project")
    for other in _COMPILED[:1]:
        for name in ("store", "srs"):
            shutil.copytree(other / "build" / name, root / "build" / name)
    with pytest.MonkeyPatch.context() as patch:
        _enter(patch, root)
        assert run(["circuits", "compile", "--all"]) == 0
    _COMPILED.append(root)
    return root


@pytest.fixture
def compiled(_compiled_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with both circuits compiled, shared by all tests: change nothing in it."""
    _enter(monkeypatch, _compiled_once)
    return _compiled_once


def _enter(patch: pytest.MonkeyPatch, root: Path) -> None:
    for name in [n for n in os.environ if n.startswith("FEDPROOF_")]:
        patch.delenv(name)
    patch.setenv("FEDPROOF_PROJECT", str(root))


def write_json(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def worker_of(process: subprocess.Popen[str], begun: float = 0.05) -> psutil.Process:
    """The proving process of a command, once it has spent so many seconds of processor time."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children():
                if WORKER in child.cmdline() and child.cpu_times().user >= begun:
                    return child
        time.sleep(0.005)
    raise AssertionError(process.communicate())


def held_worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The proving process of a command, stopped before it can end a proof of milliseconds.

    The command has had time to hand it the proof, and waits for it.
    """
    worker = worker_of(process, begun=0)
    worker.suspend()
    time.sleep(0.3)
    return worker


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
