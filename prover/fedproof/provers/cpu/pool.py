"""Workers that are kept: started when needed, given one task at a time, ended when idle or broken."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from fedproof.errors import FedproofError
from fedproof.provers.cpu.process import Request, WorkerProcess
from fedproof.provers.cpu.spawner import SPAWNER

#: An idle worker keeps some 40 MiB; a new one costs a fifth of a second.
IDLE_S = 60.0


class WorkerPool:
    """As many workers as there are calls at once; who calls limits these. For many threads."""

    def __init__(self, threads: int | None = None, start: Callable[[], WorkerProcess] | None = None) -> None:
        self._start = start or (lambda: WorkerProcess(threads))
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._generation = 0
        self._pid = os.getpid()
        SPAWNER.watch(self.retire)
        _POOLS.add(self)

    def do(self, request: Request, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Run a task on a worker; return its answer and the worker's process id.

        Raises what the task raised, and :class:`ProverKilled` where the process died meanwhile.
        """
        generation, worker = self._take()
        worker = worker or self._start()
        self._busy.add(worker)
        try:
            answer = worker.do(request, timeout_s)
        except BaseException:
            self._give(worker, generation)
            raise
        self._give(worker, generation)
        return answer, worker.pid

    def _take(self) -> tuple[int, WorkerProcess | None]:
        with self._lock:
            if self._pid != os.getpid():
                # After a fork the workers are the parent's.
                self._pid, self._idle, self._busy = os.getpid(), [], set()
            while self._idle:
                worker = self._idle.pop()  # the one used last: its memory is warm
                if worker.alive:
                    return self._generation, worker
            return self._generation, None

    def _give(self, worker: WorkerProcess, generation: int) -> None:
        with self._lock:
            self._busy.discard(worker)
            if worker.alive and generation == self._generation:
                self._idle.append(worker)
                return
        with contextlib.suppress(FedproofError, OSError):
            worker.end()

    def retire(self, older_s: float = IDLE_S) -> None:
        """End workers that have been idle for longer."""
        if self._pid != os.getpid():
            return
        limit = time.monotonic() - older_s
        with self._lock:
            old = [w for w in self._idle if w.idle_since <= limit]
            self._idle = [w for w in self._idle if w.idle_since > limit]
        for worker in old:
            with contextlib.suppress(OSError):
                worker.end()

    def close(self, *, busy: bool = False) -> None:
        """End the idle workers now, and the ``busy`` ones too, or else when they are done."""
        with self._lock:
            self._generation += 1
            killed = list(self._busy) if busy else []
        for worker in killed:
            worker.interrupt()
        self.retire(older_s=-1.0)


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()
_SHARED: dict[int | None, WorkerPool] = {}
_SHARED_LOCK = threading.Lock()


def shared_pool(threads: int | None) -> WorkerPool:
    """Return the pool of this process for workers of so many threads: provers made in passing share it."""
    with _SHARED_LOCK:
        return _SHARED.setdefault(threads, WorkerPool(threads))


@atexit.register
def _close_all() -> None:
    for pool in list(_POOLS):
        pool.close(busy=True)
