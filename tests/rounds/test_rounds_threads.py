"""Waiting for proofs in threads, and not waiting after an interrupt."""

from __future__ import annotations

import threading
import time

import pytest

from fedproof.rounds.threads import proving_threads

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interrupt_waits_for_nobody(error: BaseException) -> None:
    closed, begun = threading.Event(), []

    def prove(i: int) -> None:
        begun.append(i)
        closed.wait(30)

    started = time.monotonic()
    with pytest.raises(type(error)), proving_threads(2) as pool:
        for i in range(5):
            pool.submit(prove, i)
        while len(begun) < 2:
            time.sleep(0.001)
        raise error
    assert time.monotonic() - started < 20
    closed.set()
    assert begun == [0, 1]


def test_a_failure_begins_nothing_more() -> None:
    begun, done = [], []

    def prove(i: int) -> None:
        begun.append(i)
        time.sleep(0.05)
        if i == 0:
            raise ZeroDivisionError
        done.append(i)

    with pytest.raises(ZeroDivisionError), proving_threads(2) as pool:
        list(pool.map(prove, range(50)))
    assert len(begun) < 10
    assert sorted(done) == sorted(begun)[1:], "what runs is waited for"
