"""Whether a service is well, as checks with a time limit each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import Any

from fedproof.errors import FedproofError

#: Looks at one thing: returns what it found, raises :class:`FedproofError` if that is not well.
Check = Callable[[], str]


@dataclass(frozen=True)
class Verdict:
    """What the checks found. ``document`` is for people and machines."""

    ok: bool
    document: dict[str, Any]


class Health:
    """Checks by name, run at most every ``fresh_s`` seconds, whoever asks how often.

    A check that takes longer than ``limit_s`` counts as failed, and is not started again while it still runs.
    """

    def __init__(self, checks: Mapping[str, Check], *, limit_s: float = 5.0, fresh_s: float = 2.0) -> None:
        self.checks = dict(checks)
        self.limit_s = limit_s
        self.fresh_s = fresh_s
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max(1, len(self.checks)), thread_name_prefix="fedproof-health")
        self._running: dict[str, Future[str]] = {}
        self._last: tuple[float, Verdict] | None = None

    def verdict(self) -> Verdict:
        """Run the checks, or return what they found a moment ago."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] >= self.fresh_s:
                self._last = (time.monotonic(), self._look())
            return self._last[1]

    def close(self) -> None:
        """End the threads; a check that hangs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Verdict:
        ends = time.monotonic() + self.limit_s
        for name, check in self.checks.items():
            if name not in self._running:
                self._running[name] = self._pool.submit(check)
        found = {name: self._answer(name, max(0.0, ends - time.monotonic())) for name in self.checks}
        ok = all(answer["ok"] for answer in found.values())
        return Verdict(ok, {"ok": ok, "checks": found})

    def _answer(self, name: str, left_s: float) -> dict[str, Any]:
        future = self._running[name]
        try:
            detail = future.result(left_s)
        except NotInTime:
            if not future.done():
                return {"ok": False, "detail": f"no answer in {self.limit_s:g} s"}
            return self._answer(name, 0)
        except FedproofError as error:
            del self._running[name]
            return {"ok": False, "detail": error.message}
        except Exception as error:  # noqa: BLE001 - a check that breaks is one that fails
            del self._running[name]
            return {"ok": False, "detail": f"{type(error).__name__}: {error}"}
        del self._running[name]
        return {"ok": True, "detail": detail}
