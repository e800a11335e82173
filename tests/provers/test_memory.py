"""The budget, what a proof needs of it, and the ledger that all processes share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from fedproof.errors import CallerError, TerminalError
from fedproof.provers import BeyondBudget
from fedproof.provers.memory import Ledger, budget_bytes, ledger, machine_bytes, needed_bytes
from fedproof.provers.memory.budget import _limits

pytestmark = pytest.mark.reference

GIB = 2**30


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ledger"


@pytest.fixture
def of(folder):
    folder.mkdir()
    return lambda budget, parallel=4: Ledger(budget, parallel, folder)


class Waiting(threading.Thread):
    """A reservation that another thread waits for."""

    def __init__(self, book: Ledger, size: int) -> None:
        super().__init__(daemon=True)
        self.book, self.size, self.held = book, size, None
        self.start()

    def run(self) -> None:
        self.held = self.book.reserve(self.size)

    def waits(self) -> bool:
        self.join(0.15)
        return self.held is None

    def has_it(self) -> bool:
        self.join(5)
        return self.held is not None


def test_what_does_not_fit_waits_until_it_does(of):
    book = of(10)
    first, second = book.reserve(4), book.reserve(6)
    third = Waiting(book, 5)
    assert third.waits()
    first.close()
    assert third.waits()
    second.close()
    assert third.has_it()
    assert third.held.waited_s > 0.2
    assert [e.size for e in book.entries() if e.running] == [5]


def test_no_more_than_so_many_at_once(of):
    book = of(10, 1)
    with book.reserve(1):
        second = Waiting(book, 1)
        assert second.waits()
    assert second.has_it()


def test_the_small_do_not_pass_the_large_for_ever(of):
    book = of(10)
    first = book.reserve(4)
    large, small = Waiting(book, 10), None
    assert large.waits()
    small = Waiting(book, 1)
    assert small.waits()
    first.close()
    assert large.has_it()
    assert small.waits()
    large.held.close()
    assert small.has_it()


def test_small_urgent_things_wait_for_memory_alone(of):
    book = of(10, 1)
    with book.reserve(4):
        large = Waiting(book, 10)
        assert large.waits()
        book.reserve(5, urgent=True).close()
        book.reserve(6, urgent=True).close()
    assert large.has_it()
    large.held.close()
    book.reserve(11, urgent=True).close()  # never refused: it is given all there is


def test_more_than_the_budget_is_refused_with_both_figures(of):
    with pytest.raises(BeyondBudget, match=r"needs 3\.00 GiB, all proofs may have 2\.00 GiB") as refused:
        of(2 * GIB).reserve(3 * GIB)
    assert isinstance(refused.value, CallerError)
    assert "segments" in refused.value.hint


def test_processes_share_one_ledger_and_the_dead_leave_it(of, folder):
    book = of(10)
    code = (
        "import sys, time; from pathlib import Path; from fedproof.provers.memory import Ledger\n"
        "held = Ledger(10, 4, Path(sys.argv[1])).reserve(8); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        waiting = Waiting(book, 4)
        assert waiting.waits()
        other.send_signal(signal.SIGKILL)
    assert waiting.has_it()
    waiting.held.close()
    assert book.entries() == []
    assert [p.name for p in folder.iterdir()] == [".lock"]


def test_one_who_stops_waiting_is_no_longer_in_line(of):
    book = of(10)
    first = book.reserve(10)

    def interrupted(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            book.reserve(5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    first.close()
    assert book.entries() == []


def test_many_threads_never_have_more_than_the_budget(of):
    book, used, most, lock = of(10, 8), [0], [0], threading.Lock()

    def one(size: int) -> None:
        with book.reserve(size):
            with lock:
                used[0] += size
                most[0] = max(most[0], used[0])
            time.sleep(0.005)
            with lock:
                used[0] -= size

    threads = [threading.Thread(target=one, args=(1 + i % 7,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 7 <= most[0] <= 10


def test_a_folder_that_cannot_be_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEDPROOF_LEDGER", str(tmp_path / "file" / "below"))
    with pytest.raises(TerminalError, match="cannot make"):
        ledger.default_folder()
    monkeypatch.setenv("FEDPROOF_LEDGER", str(tmp_path / "chosen"))
    assert ledger.default_folder() == tmp_path / "chosen"
    monkeypatch.delenv("FEDPROOF_LEDGER")
    assert str(os.getuid()) in ledger.default_folder().name


def test_the_budget(monkeypatch):
    monkeypatch.delenv("FEDPROOF_MEMORY", raising=False)
    assert budget_bytes() == int(machine_bytes() * 0.8)
    assert budget_bytes(5) == 5
    assert budget_bytes("2GiB") == 2 * GIB
    monkeypatch.setenv("FEDPROOF_MEMORY", "512MiB")
    assert budget_bytes() == GIB // 2
    for wrong in ("much", "-1GiB", "0"):
        with pytest.raises(CallerError):
            budget_bytes(wrong)


def test_limits_of_control_groups_are_kept(tmp_path):
    own, root = tmp_path / "cgroup", tmp_path / "root"
    own.write_text("5:cpu:/x\n4:memory:/a/b\n0::/c/d\n")
    for path, text in {
        "memory/a/b/memory.limit_in_bytes": "7000",
        "memory/memory.limit_in_bytes": str(2**63 - 4096),
        "c/memory.max": "5000",
        "c/d/memory.max": "max",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")
    assert sorted(_limits(own, root)) == [5000, 7000]
    assert _limits(tmp_path / "none", root) == []


def test_what_a_proof_needs(tmp_path):
    measured = {"costs": {"prove_peak_bytes": GIB}}
    assert needed_bytes(tmp_path, measured) == int(1.1 * GIB)
    (tmp_path / "pk.key").write_bytes(bytes(2**20))
    assert 100 * 2**20 < needed_bytes(tmp_path, None) < 130 * 2**20


def test_what_workers_know_by_heart():
    from fedproof.circuits import compiled, layout
    from fedproof.commitments import SCALAR_MODULUS
    from fedproof.provers import artefacts

    for name in ("SETTINGS", "COMPILED", "VK", "PK"):
        assert getattr(artefacts, name) == getattr(layout, name)
    assert artefacts.MANIFEST == compiled.MANIFEST
    assert artefacts.SCALAR_MODULUS == SCALAR_MODULUS
