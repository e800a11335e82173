"""The CPU backend: proofs hold, nothing else does, and a dying worker takes nobody with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from fedproof.circuits import layout
from fedproof.commitments import SCALAR_MODULUS, read_commitments
from fedproof.errors import CallerError, FedproofError, TerminalError
from fedproof.provers import CpuProver, ProverKilled, WitnessRejected
from fedproof.provers.cpu import run_worker
from fedproof.provers.cpu.process import WorkerProcess
from fedproof.provers.cpu.worker import felt

pytestmark = pytest.mark.prove


@pytest.fixture
def prover():
    return CpuProver()


def verify(prover, circuit, proof, instances):
    return prover.verify(circuit.folder, circuit.srs.path, proof, instances)


def test_a_proof_verifies_and_carries_the_commitments_of_its_slots(prover, circuit, slots, proven):
    assert proven.instances == (*circuit.manifest.instances, *slots[-1])
    assert len(proven.proof) == circuit.manifest.costs.proof_bytes
    assert verify(prover, circuit, proven.proof, proven.instances)
    assert proven.witness_s > 0
    assert proven.prove_s > 0
    assert proven.peak_bytes > 2**20
    sizes = [s.columns for s in circuit.manifest.slots]
    for vector, commitment in zip(slots, read_commitments(proven.proof, sizes), strict=True):
        circuit.committer.check_opening(vector, circuit.committer.to_pure(commitment))


@pytest.mark.parametrize("place", [0, 63, 64, 255, 256, 700, -65, -1])
def test_a_flipped_bit_is_rejected(prover, circuit, proven, place):
    forged = bytearray(proven.proof)
    forged[place] ^= 1
    assert not verify(prover, circuit, bytes(forged), proven.instances)


@pytest.mark.parametrize("size", [0, 1, 64, -64, -1])
def test_a_truncated_proof_is_rejected(prover, circuit, proven, size):
    assert not verify(prover, circuit, proven.proof[:size], proven.instances)


def test_a_longer_proof_is_no_other_proof(prover, circuit, proven):
    assert not verify(prover, circuit, proven.proof + b"\0" * 32, proven.instances)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("change", ["plus one", "zero", "none", "twice", "plus r", "negative"])
def test_another_public_instance_is_rejected(prover, circuit, proven, change, place):
    """The pinned one, or the challenge."""
    instances = list(proven.instances)
    pinned = instances[place]
    instances[place : place + 1] = {
        "plus one": [pinned + 1],
        "zero": [0],
        "none": [],
        "twice": [pinned, pinned],
        "plus r": [pinned + SCALAR_MODULUS],
        "negative": [pinned - SCALAR_MODULUS],
    }[change]
    assert not verify(prover, circuit, proven.proof, instances)


def test_a_proof_of_another_circuit_is_rejected(prover, circuit, proven, tmp_path):
    from fedproof.circuits.store import CircuitStore
    from fedproof.project import Project

    root = circuit.folder.parents[2]
    average = CircuitStore(Project(root, root / "build")).get("tiny-average")
    assert not verify(prover, average, proven.proof, proven.instances)


@pytest.mark.parametrize("slot", ["batch", "step", "advice"])
def test_a_witness_that_breaks_a_range_is_rejected(prover, circuit, slots, slot):
    forged = [list(s) for s in slots]
    i = [s.name for s in circuit.manifest.slots].index(slot)
    forged[i][0] += 2**7
    with pytest.raises(WitnessRejected, match="break range checks"):
        prover.prove(circuit.folder, circuit.srs.path, forged)


@pytest.mark.parametrize("shape", ["a slot too few", "a slot too many", "short", "empty"])
def test_vectors_of_another_shape_are_the_callers_fault(prover, circuit, slots, shape):
    forged = {
        "a slot too few": slots[:-1],
        "a slot too many": [*slots, [1]],
        "short": [slots[0][:-1], *slots[1:]],
        "empty": [],
    }[shape]
    with pytest.raises(CallerError, match=r"vectors|elements"):
        prover.prove(circuit.folder, circuit.srs.path, forged)


def test_a_vector_longer_than_declared_is_refused(prover, circuit, slots):
    with pytest.raises(CallerError, match=r"model.*23 elements.*22"):
        prover.prove(circuit.folder, circuit.srs.path, [[*slots[0], 5], *slots[1:]])


@pytest.fixture
def copy(circuit, tmp_path):
    return Path(shutil.copytree(circuit.folder, tmp_path / "copy"))


@pytest.mark.parametrize("file", [layout.PK, layout.COMPILED])
def test_a_missing_file_is_no_rejected_witness(prover, circuit, slots, copy, file):
    (copy / file).unlink()
    with pytest.raises(TerminalError, match=f"{file} is not in"):
        prover.prove(copy, circuit.srs.path, slots)


@pytest.mark.parametrize("file", [layout.VK, layout.SETTINGS])
def test_a_missing_file_is_no_invalid_proof(prover, circuit, proven, copy, file):
    (copy / file).unlink()
    with pytest.raises(TerminalError, match=f"{file} is not in"):
        prover.verify(copy, circuit.srs.path, proven.proof, proven.instances)


def test_a_missing_srs_is_said(prover, circuit, slots, proven, tmp_path):
    for call in (
        lambda: prover.prove(circuit.folder, tmp_path / "k09.srs", slots),
        lambda: prover.verify(circuit.folder, tmp_path / "k09.srs", proven.proof, [1]),
    ):
        with pytest.raises(TerminalError, match=r"k09.srs is not in"):
            call()


@pytest.mark.parametrize("file", [layout.PK, layout.COMPILED])
@pytest.mark.parametrize("how", ["garbage", "half"])
def test_a_malformed_file_ends_in_an_error_of_the_package(prover, circuit, slots, copy, file, how):
    good = (copy / file).read_bytes()
    (copy / file).write_bytes(b"garbage" if how == "garbage" else good[: len(good) // 2])
    with pytest.raises(FedproofError):
        prover.prove(copy, circuit.srs.path, slots)


@pytest.mark.parametrize("file", [layout.VK, layout.SETTINGS])
def test_a_malformed_key_does_not_verify_anything(prover, circuit, proven, copy, file):
    (copy / file).write_bytes(b"garbage")
    with contextlib.suppress(FedproofError):
        assert not prover.verify(copy, circuit.srs.path, proven.proof, proven.instances)


def _workers() -> set[psutil.Process]:
    found = set()
    for child in psutil.Process(os.getpid()).children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "fedproof.provers.cpu.worker" in child.cmdline():
                found.add(child)
    return found


def _kill_worker(found: list[int], others: set[psutil.Process], temporary: Path) -> None:
    """Kill the worker that is none of the others as soon as it has come as far as the proof."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if list(temporary.glob("fedproof-*/witness.json")):
            for worker in _workers() - others:
                found.append(worker.pid)
                worker.kill()
            return
        time.sleep(0.002)


def test_a_worker_killed_while_proving_leaves_the_caller_alive_and_nothing_behind(
    circuit, slots, proven, monkeypatch, tmp_path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(p.name for p in circuit.folder.iterdir())
    found: list[int] = []
    killer = threading.Thread(target=_kill_worker, args=(found, _workers(), tmp_path))
    killer.start()
    with CpuProver(workers=1) as prover:
        with pytest.raises(ProverKilled, match=r"killed by SIGKILL.*out of memory") as killed:
            prover.prove(circuit.folder, circuit.srs.path, slots)
        killer.join()
        assert killed.value.exit_code == 75
        assert found
        assert not psutil.pid_exists(found[0])
        assert list(tmp_path.iterdir()) == []
        assert sorted(p.name for p in circuit.folder.iterdir()) == before
        again = prover.prove(circuit.folder, circuit.srs.path, slots)
        assert verify(prover, circuit, again.proof, again.instances)


@pytest.fixture
def hanging(monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(script))


def test_a_worker_that_hangs_is_killed(hanging):
    with pytest.raises(ProverKilled, match="gave no answer in 0 s"):
        run_worker("verify", timeout_s=0.2)
    worker = WorkerProcess()
    with pytest.raises(ProverKilled, match="gave no answer in 0 s"):
        worker.do({"task": "verify"}, 0.2)
    assert not worker.alive


def test_a_worker_that_dies_at_once_says_why(monkeypatch):
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(ProverKilled, match="ended with exit code 1 and no answer"):
        run_worker("verify")
    with pytest.raises(ProverKilled, match="ended with exit code 1 and no answer"):
        WorkerProcess().do({"task": "verify"}, 30)


def test_values_beyond_floats_survive(circuit, slots, prover):
    """Regression: numbers in ezkl's input JSON pass through floats; salts are whole field elements."""
    vectors = [list(s) for s in slots]
    vectors[0][-1] = SCALAR_MODULUS - 1
    vectors[1][-1] = 2**200 + 1
    run = prover.prove(circuit.folder, circuit.srs.path, vectors)
    sizes = [s.columns for s in circuit.manifest.slots]
    for vector, commitment in zip(vectors, read_commitments(run.proof, sizes), strict=True):
        circuit.committer.check_opening(vector, circuit.committer.to_pure(commitment))
    assert json.loads(json.dumps(felt(-1))) == felt(SCALAR_MODULUS - 1)
