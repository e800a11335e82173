"""Processes are killed at every moment of a job and started again: no proof is missing, none made twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fedproof.jobs import JobStore, Outcome, State
from fedproof.provers import CpuProver

pytestmark = pytest.mark.prove

SCRIPT = Path(__file__).with_name("prove_jobs.py")
SOURCES = Path(__file__).resolve().parents[2] / "prover"


class World:
    """A queue, what is to be proven, and the processes that do it."""

    def __init__(self, folder: Path, circuit, values) -> None:
        self.circuit = circuit
        self.folder = folder
        self.jobs = folder / "jobs"
        self.ledger = folder / "ledger"
        self.told = folder / "told.json"
        document = {
            "jobs": str(self.jobs),
            "folder": str(circuit.folder),
            "srs": str(circuit.srs.path),
            "ledger": str(self.ledger),
            "values": [[[str(v) for v in slot] for slot in slots] for slots in values],
        }
        self.told.write_text(json.dumps(document))

    def start(self, role: str, moment: str = "never") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.told), role, moment],
            env=os.environ | {"PYTHONPATH": str(SOURCES)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def dies(self, role: str, moment: str) -> None:
        process = self.start(role, moment)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, errors

    def ends(self, process: subprocess.Popen[str]) -> list[str]:
        """The proofs it printed."""
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        lines = [line.split()[1:] for line in out.splitlines() if line.startswith("proofs ")]
        return lines[0] if lines else []

    def made(self) -> list[str]:
        """Every proof that was made, by whomever."""
        return (
            [line.split()[1] for line in self.ledger.read_text().splitlines()] if self.ledger.exists() else []
        )

    def store(self) -> JobStore:
        return JobStore(self.jobs)


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The process that proves for ``process``, at work on a proof."""
    assert process.stdout
    assert process.stdout.readline() == "proving\n", process.communicate()
    before: dict[int, float] = {}
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                if "fedproof.provers.cpu" in " ".join(child.cmdline()):
                    spent = child.cpu_times().user
                    if spent > before.setdefault(child.pid, spent) + 0.02:
                        return child
        time.sleep(0.005)
    raise AssertionError("nobody proves")


@pytest.fixture
def world(tiny, values, tmp_path):
    return World(tmp_path, tiny, values(2))


def test_killed_at_every_moment(world):
    """The caller, again and again; each time a little further. Two proofs were asked for, two are made."""
    world.dies("caller", "submitted")
    with contextlib.closing(world.store()) as store:
        [job] = store.jobs()
        assert job.state is State.QUEUED
        assert stat.S_IMODE(store.values.path(job.key).stat().st_mode) == 0o600
    assert world.made() == []

    world.dies("caller", "claimed")
    with contextlib.closing(world.store()) as store:
        assert store.get(job.key).state is State.RUNNING
        assert [j.key for j in store.take_back()] == [job.key], "its owner is gone"
    assert world.made() == []

    caller = world.start("caller")
    worker = worker_of(caller)
    caller.kill()
    caller.communicate()
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running(), "nobody would read its answer"
    assert world.made() == []

    # Its proof is written, and nothing else says so.
    world.dies("caller", "written")
    first = world.made()
    assert len(first) == 1
    with contextlib.closing(world.store()) as store:
        assert store.get(job.key).state is State.RUNNING

    # The first job is found done; the second is proven by the scheduler, killed in the middle.
    world.dies("background", "submitted")
    engine = world.start("engine")
    worker_of(engine)
    engine.kill()
    engine.communicate()
    assert world.made() == first

    world.dies("engine", "finished")
    proofs = world.ends(world.start("caller"))
    assert proofs == world.made()
    assert len(proofs) == 2
    with contextlib.closing(world.store()) as store:
        jobs = store.jobs()
        assert [j.state for j in jobs] == [State.DONE] * 2
        outcomes = [a.outcome for a in store.attempts(job.key)]
        assert outcomes == [Outcome.ORPHANED, Outcome.ORPHANED, Outcome.DONE]
        assert list(store.values.folder.iterdir()) == []
        circuit = world.circuit
        for j in jobs:
            run = store.results.load(j.key)
            assert CpuProver().verify(circuit.folder, circuit.srs.path, run.proof, run.instances)


def test_a_killed_worker_and_a_killed_rival(world):
    """Two callers and an engine want the same; the worker of the first is killed, then the first."""
    first = world.start("caller")
    worker_of(first).kill()
    second, engine = world.start("background"), world.start("engine")
    with contextlib.closing(world.store()) as store:
        ends = time.monotonic() + 60
        # In the milliseconds between a proof and its file there would be another one to make.
        while not list(store.results.folder.glob("*.json")):
            assert time.monotonic() < ends
            time.sleep(0.01)
        first.kill()
        first.communicate()
        proofs = world.ends(second)
        world.ends(engine)
        assert sorted(world.made()) == sorted(proofs)
        assert len(proofs) == 2
        outcomes = [a.outcome for j in store.jobs() for a in store.attempts(j.key)]
        assert outcomes.count(Outcome.KILLED) == 1
        assert outcomes.count(Outcome.DONE) == 2
        for half_written in store.values.folder.iterdir():
            assert half_written.suffix == ".tmp"
            os.utime(half_written, (time.time() - 100,) * 2)
    with contextlib.closing(world.store()) as store:
        assert list(store.values.folder.iterdir()) == []
