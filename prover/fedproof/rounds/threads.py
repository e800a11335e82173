"""Threads in which proofs are waited for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fedproof.provers import Prover


def of_use(prover: Prover | None, parts: int) -> int:
    """How many threads are of use to prove ``parts`` parts with ``prover``; one without a prover."""
    # A prover is asked only where it matters: a cluster is started by the question.
    return 1 if prover is None or parts <= 1 else max(1, min(parts, prover.parallel))


@contextmanager
def proving_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """``count`` threads. After a failure no more proofs are begun, and those that run are waited for.

    After an interrupt they are not: whoever closes the prover ends them, and that is further out.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="fedproof-proving")
    try:
        yield pool
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
