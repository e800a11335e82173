"""Ending a service when it is told to: at a place where nothing is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SLICE_S = 0.1


class Stopped(SystemExit):
    """A signal ended a proof that was being made."""


class Stop:
    """Whether a service was asked to end.

    The first signal is noted, and what goes on is finished: a transaction is not left half sent. Only a proof
    is abandoned: it may take long, and is made again from the same values. A second signal ends at once.
    """

    def __init__(self) -> None:
        self.requested = False
        self._abandon = False

    def request(self) -> None:
        """Ask for the end."""
        self.requested = True

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT for a request, within the block. In the main thread only."""
        handlers = {n: signal.signal(n, self._noted) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    @contextmanager
    def abandoning(self) -> Iterator[None]:
        """Let a signal end the block with :class:`Stopped`; also one that came before it."""
        if self.requested:
            raise Stopped(0)
        self._abandon = True
        try:
            yield
        finally:
            self._abandon = False

    def sleep(self, seconds: float) -> None:
        """Sleep, at most until the end is asked for."""
        # In slices: an event that a signal handler sets while it is being waited for can lock up.
        ends = time.monotonic() + seconds
        while not self.requested and (left := ends - time.monotonic()) > 0:
            time.sleep(min(_SLICE_S, left))

    def _noted(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise SystemExit(128 + number)
        self.requested = True
        if self._abandon:
            raise Stopped(0)
