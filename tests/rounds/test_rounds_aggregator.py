"""The average is exact, and what cannot be averaged or is not what was committed to is refused."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_circuits import NotingProver

from fedproof.circuits.store import Circuit
from fedproof.commitments import CommitmentMismatch, add, mul, sub, weighted_sum
from fedproof.errors import CallerError
from fedproof.rounds import Aggregator
from fedproof.rounds.aggregator import fold_weights

pytestmark = pytest.mark.reference

BITS = 8


@pytest.fixture(scope="module")
def aggregator(average: Circuit) -> Aggregator:
    return Aggregator(average, NotingProver(average))


def updates_of(aggregator: Aggregator, count: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(-127, 127, aggregator.length) for _ in range(count)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_every_element_is_the_average_rounded_half_up(
    aggregator: Aggregator, samples: list[int], seed: int
) -> None:
    updates, weights = updates_of(aggregator, len(samples), seed), fold_weights(samples, BITS)
    found = aggregator.average(updates, weights)
    for i, delta in enumerate(found.delta):
        exact = sum(
            (Fraction(w, 2**BITS) * int(u[i]) for w, u in zip(weights, updates, strict=True)), Fraction(0)
        )
        assert delta == floor(exact + Fraction(1, 2))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_what_is_proven_is_the_division_that_the_hub_expects(
    aggregator: Aggregator, samples: list[int], seed: int
) -> None:
    updates, weights = updates_of(aggregator, len(samples), seed), fold_weights(samples, BITS)
    remainder, delta = (np.array(slot) for slot in aggregator.average(updates, weights).slots[:2])
    total = sum(w * u for w, u in zip(weights, updates, strict=True))
    # Committed as the row of the lookup table, which starts at one.
    assert np.array_equal(remainder, total + 2 ** (BITS - 1) + 1 - 2**BITS * delta)
    assert remainder.min() >= 1
    assert remainder.max() <= 2**BITS


def test_the_remainder_commits_to_what_the_hub_computes(aggregator: Aggregator) -> None:
    # finalize's equation, on the curve: P(rho + 1) = sum W P(u) + (2^(t-1) + 1) P(1) - 2^t P(delta)
    committer = aggregator.circuit.committer
    updates, weights = updates_of(aggregator, 3), fold_weights([1, 2, 4], BITS)
    remainder, delta = (committer.pure(slot) for slot in aggregator.average(updates, weights).slots[:2])
    summed = weighted_sum([committer.pure(u) for u in updates], weights)
    half = mul(committer.ones(aggregator.length), 2 ** (BITS - 1) + 1)
    assert remainder == sub(add(summed, half), mul(delta, 2**BITS))


def test_ties_go_up(aggregator: Aggregator) -> None:
    ones = np.ones(aggregator.length, dtype=np.int64)
    half = aggregator.average([ones, 0 * ones], [128, 128])
    assert set(half.delta.tolist()) == {1}
    assert set(aggregator.average([-ones, 0 * ones], [128, 128]).delta.tolist()) == {0}


def test_the_proof_holds_both_commitments(aggregator: Aggregator) -> None:
    found = aggregator.average(updates_of(aggregator, 2), [100, 156])
    proof = aggregator.prove(found)
    assert proof.commitments == [aggregator.circuit.committer.full(slot) for slot in found.slots]


def test_an_average_out_of_range_is_named(aggregator: Aggregator) -> None:
    update = np.zeros(aggregator.length, dtype=np.int64)
    bound = next(n.bound for n in aggregator.circuit.program.nodes if n.label == "delta")
    update[3] = bound - 1
    aggregator.average([update], [2**BITS])
    update[3] = bound
    with pytest.raises(CallerError, match=rf"delta.*element \(3,\) is {bound}, outside"):
        aggregator.average([update], [2**BITS])


@pytest.mark.parametrize("value", [2**62, 2**55, -(2**63), 2**63 - 1])
def test_a_sum_that_would_overflow_is_refused(aggregator: Aggregator, value: int) -> None:
    update = np.zeros(aggregator.length, dtype=np.int64)
    update[0] = value
    with pytest.raises(CallerError, match=f"absolute value {abs(value)}"):
        aggregator.average([update, update], [128, 128])


def test_large_updates_that_cancel_are_averaged(aggregator: Aggregator) -> None:
    update = np.full(aggregator.length, 2**50)
    assert not aggregator.average([update, -update], [128, 128]).delta.any()


@pytest.mark.parametrize("weights", [[255], [257], [128, 128, 0], [-1], []])
def test_weights_that_are_none(aggregator: Aggregator, weights: list[int]) -> None:
    with pytest.raises(CallerError, match="weights"):
        aggregator.average(updates_of(aggregator, 1), weights)


def test_weights_below_zero(aggregator: Aggregator) -> None:
    with pytest.raises(CallerError, match="must not be negative"):
        aggregator.average(updates_of(aggregator, 2), [-1, 257])


def test_no_updates(aggregator: Aggregator) -> None:
    with pytest.raises(CallerError, match="0 updates"):
        aggregator.average([], [])


def test_what_is_no_update_of_this_model(aggregator: Aggregator) -> None:
    good = updates_of(aggregator, 1)[0]
    for bad in (good[:-1], np.append(good, 0), good.astype(np.float64), good.astype(np.int32), good[None]):
        with pytest.raises(CallerError, match="expected int64"):
            aggregator.average([bad], [2**BITS])
        with pytest.raises(CallerError, match="update of Ada is"):
            aggregator.receive(bad, aggregator.circuit.committer.pure(good), trainer="Ada")


def test_a_received_update_is_recommitted(aggregator: Aggregator) -> None:
    update = updates_of(aggregator, 1)[0]
    commitment = aggregator.circuit.committer.pure(update)
    assert np.array_equal(aggregator.receive(update, commitment), update)
    for place in (0, aggregator.length - 1):
        other = update.copy()
        other[place] += 1
        with pytest.raises(CommitmentMismatch, match="update of Ada") as caught:
            aggregator.receive(other, commitment, trainer="Ada")
        assert caught.value.exit_code == 3


def test_a_training_circuit_averages_nothing(training: Circuit) -> None:
    with pytest.raises(CallerError, match="'tiny' is not a circuit of kind 'average'"):
        Aggregator(training)
