"""The search for ezkl's scale: the smallest that is accurate enough, and no scale tried twice."""

from __future__ import annotations

import pytest
from benchmarks.circuits.scale import HIGHEST, LOWEST, NoScaleError, Probe, search
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.reference


class Halving:
    """An error of ``first`` at scale 0 that halves a bit, and no witness above ``wall``."""

    def __init__(self, first: float, wall: int = HIGHEST) -> None:
        self.first, self.wall = first, wall
        self.tried: list[Probe] = []

    def __call__(self, scale: int) -> Probe:
        assert LOWEST <= scale <= HIGHEST
        assert scale not in [p.scale for p in self.tried]
        error = None if scale > self.wall else self.first * 2.0**-scale
        self.tried.append(Probe(scale, error, failure=None if error else "out of range"))
        return self.tried[-1]


@given(st.floats(1e-3, 1e4), st.floats(1e-9, 1.0), st.integers(LOWEST, HIGHEST))
def test_the_smallest_scale_that_reaches_it_is_found(first: float, target: float, wall: int) -> None:
    model = Halving(first, wall)
    enough = [s for s in range(LOWEST, wall + 1) if first * 2.0**-s <= target]
    choice = search(target, model)
    assert choice.reached == bool(enough)
    assert choice.probe.scale == (enough[0] if enough else wall)
    assert search(target, lambda scale: pytest.fail(f"tried {scale} again"), model.tried) == choice


def test_a_new_target_tries_only_what_is_new() -> None:
    model = Halving(1.0)
    search(2.0**-9, model)
    before = len(model.tried)
    choice = search(2.0**-10, model, list(model.tried))
    assert choice.probe.scale == 10
    assert len(model.tried) == before + 1


def test_no_witness_anywhere_says_why() -> None:
    with pytest.raises(NoScaleError, match="out of range"):
        search(0.1, Halving(1.0, wall=-1))
