"""The one thread that starts worker processes.

The kernel ends a worker when the *thread* that started it ends (PR_SET_PDEATHSIG), and callers' threads come
and go. This one lives as long as the process. Between starts it looks after whoever asks for it.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_TICK_S = 5.0
T = TypeVar("T")


class Spawner:
    """Runs functions in its thread, one after the other, and every few seconds the ``watch``-ed ones."""

    def __init__(self) -> None:
        self._pid = 0
        self._start = threading.Lock()
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._watched: list[weakref.WeakMethod[Callable[[], None]]] = []

    def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` in the thread; return what it returns, raise what it raises."""
        self._ensure()
        future: Future[T] = Future()
        self._tasks.put((function, future))
        return future.result()

    def watch(self, method: Callable[[], None]) -> None:
        """Call a bound method every few seconds, as long as its object lives. It must not raise."""
        self._watched.append(weakref.WeakMethod(method))

    def _ensure(self) -> None:
        # A forked process has its parent's objects and not its threads.
        with self._start:
            if self._pid != os.getpid():
                self._pid, self._tasks = os.getpid(), queue.SimpleQueue()
                threading.Thread(target=self._serve, name="fedproof-spawner", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                function, future = self._tasks.get(timeout=_TICK_S)
            except queue.Empty:
                for reference in self._watched[:]:
                    method = reference()
                    if method is None:
                        self._watched.remove(reference)
                    else:
                        method()
                    del method
                continue
            try:
                future.set_result(function())
            except BaseException as e:  # noqa: BLE001 - raised in the caller's thread
                future.set_exception(e)
            del function, future


SPAWNER = Spawner()
