"""Workers are kept, replaced when they break, and never outlive who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from fedproof.errors import TerminalError
from fedproof.provers import CpuProver, ProverKilled
from fedproof.provers.cpu.pool import WorkerPool
from fedproof.provers.cpu.process import WorkerProcess

pytestmark = pytest.mark.prove

#: Answered at once: the files are missing.
NOTHING = {"task": "verify", "folder": "/nowhere", "srs": "/nowhere", "scratch": "/nowhere"}


@pytest.fixture
def pool():
    made = WorkerPool()
    yield made
    made.close()


def ask(pool: WorkerPool) -> int:
    """Return the process id of the worker that answered."""
    with pytest.raises(TerminalError, match="not in"):
        pool.do(NOTHING, 30)
    return pool._idle[-1].pid


def test_a_worker_is_kept_for_the_next_call(pool):
    assert ask(pool) == ask(pool)


def test_a_worker_outlives_the_thread_that_called_it(pool):
    pids = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: pids.append(ask(pool)))
        thread.start()
        thread.join()
        time.sleep(0.05)
    assert pids[0] == pids[1]


def test_a_worker_that_died_idle_is_replaced_in_silence(pool):
    first = ask(pool)
    os.kill(first, signal.SIGKILL)
    pool._idle[-1]._process.wait(10)
    assert ask(pool) != first


def test_a_worker_that_panicked_is_replaced(pool):
    """An error that nobody expects, as a panic is: no folder is given."""
    with pytest.raises(TerminalError, match="KeyError"):
        pool.do({"task": "verify"}, 30)
    assert pool._idle == []
    ask(pool)


def test_an_interrupt_of_the_terminal_is_the_callers_affair(pool):
    first = ask(pool)
    os.kill(first, signal.SIGINT)
    assert ask(pool) == first


def test_idle_workers_are_ended(pool):
    first = ask(pool)
    pool.retire(older_s=60)
    assert psutil.pid_exists(first)
    pool.retire(older_s=0)
    assert not psutil.pid_exists(first)
    assert ask(pool) != first


def test_a_closed_pool_has_no_process_left_and_starts_again(pool):
    first = ask(pool)
    pool.close()
    assert not psutil.pid_exists(first)
    assert ask(pool) != first


def test_a_closed_prover_ends_what_runs(circuit, slots):
    ended = []
    prover = CpuProver(workers=1)

    def prove() -> None:
        try:
            while True:
                prover.prove(circuit.folder, circuit.srs.path, slots)
        except ProverKilled as e:
            ended.append(e)

    thread = threading.Thread(target=prove)
    thread.start()
    deadline = time.monotonic() + 20
    while not prover._pool._busy and time.monotonic() < deadline:
        time.sleep(0.01)
    while not ended and time.monotonic() < deadline:
        prover.close()
        time.sleep(0.01)
    thread.join()
    assert ended


def test_the_workers_of_a_killed_caller_die_with_it():
    code = (
        "import time\n"
        "from fedproof.provers.cpu.process import WorkerProcess\n"
        "worker = WorkerProcess()\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as caller:
        worker = psutil.Process(int(caller.stdout.readline()))
        caller.kill()
    worker.wait(10)


def test_a_worker_gives_memory_back_and_measures_each_proof(circuit, slots):
    with CpuProver(workers=1) as prover:
        runs = [prover.prove(circuit.folder, circuit.srs.path, slots) for _ in range(2)]
        worker = prover._pool._idle[-1]
        assert len({run.worker for run in runs}) == 1
        assert psutil.Process(worker.pid).memory_info().rss < 2**26
    assert all(0 < run.load_s < run.prove_s for run in runs)


def test_a_forked_process_has_workers_of_its_own(pool):
    """Flower and others fork; a worker's pipe has one user."""
    first = ask(pool)
    code = os.fork()
    if code == 0:
        try:
            os._exit(0 if ask(pool) != first else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(code, 0)[1]) == 0
    assert ask(pool) == first


def test_what_a_worker_printed_last_is_told(monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho started; echo thread panicked at src/lib.rs >&2; exit 101\n")
    script.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(script))
    with pytest.raises(ProverKilled, match=r"code 101 and no answer: thread panicked at src/lib\.rs"):
        WorkerProcess().do(NOTHING, 30)
