"""The smallest scale at which ezkl's fixed point is as accurate as our integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any

#: Where the search starts, and the bits after the point that it stays within.
START, LOWEST, HIGHEST = 7, 2, 20


@dataclass(frozen=True)
class Probe:
    """What a scale comes to. ``max_error`` is None where ezkl gives no witness, and ``failure`` says why."""

    scale: int
    max_error: float | None = None
    size: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failure: str | None = None

    def reaches(self, target: float) -> bool:
        """Whether the error is at most ``target``."""
        return self.max_error is not None and self.max_error <= target


@dataclass(frozen=True)
class Choice:
    """The scale taken; ``reached`` is False where none is accurate enough and it is the best there is."""

    probe: Probe
    reached: bool


class NoScaleError(Exception):
    """No scale gives a circuit with a witness; the message has ezkl's reason at the last one tried."""


def search(target: float, probe: Callable[[int], Probe], known: Iterable[Probe] = ()) -> Choice:
    """Return the smallest scale whose error is at most ``target``, as ``probe`` measures it.

    The error is taken to fall with the scale, about a factor of two a bit: the search leaps to where it
    should be reached and goes on in steps of one until it is reached at a scale and not at the one below.
    A scale without a witness counts as not reached; above one that has none nothing is tried. ``known`` are
    measured before. Raises :class:`NoScaleError`.
    """
    found = {p.scale: p for p in known}
    while (scale := _next(found, target)) is not None:
        found[scale] = probe(scale)
    reached = [p for p in found.values() if p.reaches(target)]
    if reached:
        return Choice(min(reached, key=lambda p: p.scale), reached=True)
    working = [p for p in found.values() if p.max_error is not None]
    if not working:
        raise NoScaleError(next(iter(found.values())).failure or "ezkl gives no witness at any scale")
    return Choice(min(working, key=lambda p: (p.max_error or 0.0, p.scale)), reached=False)


def _next(found: dict[int, Probe], target: float) -> int | None:
    """Return the scale to try next; None when it is settled. Depends only on what was found."""
    if not found:
        return START
    reached = [s for s, p in found.items() if p.reaches(target)]
    if reached:
        below = min(reached) - 1
        return below if below >= LOWEST and below not in found else None
    working = {s: p.max_error for s, p in found.items() if p.max_error is not None}
    if not working:
        middle = (LOWEST + min(found)) // 2
        return middle if middle not in found else None
    top = max(working)
    ceiling = min((s - 1 for s in found if s > top), default=HIGHEST)
    following = min(top + max(1, ceil(log2(working[top] / target))), ceiling)
    return following if following > top else None
