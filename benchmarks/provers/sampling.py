"""Memory of the worker processes, sampled while something runs."""

from __future__ import annotations

import contextlib
import os
import threading

import psutil

_EVERY_S = 0.02


class MemorySampler:
    """Samples what this process' descendants have in RAM together, in bytes; a context manager."""

    def __init__(self) -> None:
        self.samples: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def most(self) -> int:
        return max(self.samples, default=0)

    def __enter__(self) -> MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        own = psutil.Process(os.getpid())
        while not self._over.wait(_EVERY_S):
            total = 0
            with contextlib.suppress(psutil.Error):
                for child in own.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        total += child.memory_info().rss
            self.samples.append(total)
