"""Weights sum to a power of two exactly, and are the ones that the hub computes."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedproof.errors import CallerError
from fedproof.rounds.aggregator import fold_weights

pytestmark = pytest.mark.reference

SAMPLES = st.lists(st.integers(1, 2**40), min_size=1, max_size=40)
BITS = st.integers(1, 64)


def as_the_hub_computes(steps: list[int], samples_per_step: int, bits: int) -> list[int]:
    """HubAggregation._weights, line by line; there the samples of a step cancel."""
    del samples_per_step
    total, cumulative, below = sum(steps), 0, 0
    weights = []
    for count in steps:
        cumulative += count
        up_to = (cumulative << bits) // total
        weights.append(up_to - below)
        below = up_to
    return weights


@given(SAMPLES, BITS)
def test_they_sum_to_the_power_and_none_is_negative(samples: list[int], bits: int) -> None:
    weights = fold_weights(samples, bits)
    assert sum(weights) == 2**bits
    assert min(weights) >= 0


@given(SAMPLES, BITS)
def test_each_is_within_one_of_its_share(samples: list[int], bits: int) -> None:
    for weight, count in zip(fold_weights(samples, bits), samples, strict=True):
        assert abs(weight - Fraction(count << bits, sum(samples))) < 1


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 1000), BITS)
def test_samples_give_the_weights_that_the_hub_computes_from_steps(
    steps: list[int], samples_per_step: int, bits: int
) -> None:
    assert fold_weights([n * samples_per_step for n in steps], bits) == as_the_hub_computes(
        steps, samples_per_step, bits
    )


@given(st.integers(1, 64), st.integers(0, 5))
def test_equal_trainers_share_equally_where_they_can(trainers: int, spare: int) -> None:
    weights = fold_weights([7] * trainers, spare + (trainers - 1).bit_length())
    assert max(weights) - min(weights) <= 1


def test_one_trainer_takes_all() -> None:
    assert fold_weights([16], 12) == [4096]


def test_counts_beyond_int64_do_not_wrap_around() -> None:
    assert fold_weights([2**62, 2**62, 2**63], 4) == [4, 4, 8]


@pytest.mark.parametrize("samples", [[], [0], [4, 0], [4, -1]])
def test_a_trainer_without_samples_is_refused(samples: list[int]) -> None:
    with pytest.raises(CallerError, match="must be positive"):
        fold_weights(samples, 12)
