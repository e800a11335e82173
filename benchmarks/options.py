"""What a run measures, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

#: Above this many rows (log2) one sample has to do, unless BENCH_FULL=1.
LARGE_LOGROWS = 15


@dataclass(frozen=True)
class Options:
    """Times in seconds, memory in bytes."""

    rounds: int
    full: bool
    time_limit_s: float
    memory_limit: int
    max_logrows: int

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Options:
        """Read BENCH_ROUNDS (3), BENCH_FULL (0), BENCH_TIME_LIMIT_S (600), BENCH_MEMORY_GIB and
        BENCH_MAX_LOGROWS (19), above which bench-circuits proves no circuit of ezkl's.

        Memory defaults to 85 % of what is free at the start.

        Raises ValueError naming the variable that is not a positive number.
        """
        free = 0.85 * psutil.virtual_memory().available / 2**30
        return cls(
            rounds=int(_positive(environ, "BENCH_ROUNDS", 3)),
            full=environ.get("BENCH_FULL", "0") not in ("", "0"),
            time_limit_s=_positive(environ, "BENCH_TIME_LIMIT_S", 600),
            memory_limit=int(_positive(environ, "BENCH_MEMORY_GIB", free) * 2**30),
            max_logrows=int(_positive(environ, "BENCH_MAX_LOGROWS", 19)),
        )

    def rounds_at(self, logrows: int) -> int:
        """Samples of an expensive stage of a circuit of 2**logrows rows."""
        return self.rounds if self.full or logrows <= LARGE_LOGROWS else 1


def _positive(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ValueError(f"{name} is {text!r}; give a positive number")
    return value
