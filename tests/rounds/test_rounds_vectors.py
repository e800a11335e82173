"""Models as integer vectors: what is rounded, what is refused and how it is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_circuits import PARAMETERS

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.lowering import quantize, salt_length
from fedproof.rounds import ModelVector, check_finite
from fedproof.rounds.vectors import training_spec

pytestmark = pytest.mark.reference

SALTS = salt_length(8)


def test_parameters_are_rounded_half_up(training: Circuit) -> None:
    theta = np.array([0.0, 1.0, -1.0, 0.5, 1 / 64, 1 / 128, -1 / 128, 1 / 127])
    model = ModelVector.from_floats(training, theta)
    assert model.parameters.tolist() == [0, 64, -64, 32, 1, 1, 0, 1]
    assert np.abs(model.floats - theta).max() <= 1 / 128
    assert model.fractional_bits == 6


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.integers(0, 20))
def test_rounding_is_within_half_a_unit_and_integers_stay(values: list[float], bits: int) -> None:
    found = quantize(np.array(values), bits)
    assert np.abs(found / 2.0**bits - values).max() <= 2.0 ** -(bits + 1)
    assert np.array_equal(quantize(found / 2.0**bits, bits), found)


def test_the_salt_is_random_and_within_the_table(training: Circuit) -> None:
    one, two = (ModelVector.from_floats(training, np.zeros(PARAMETERS)) for _ in range(2))
    assert len(one.salt) == SALTS
    assert SALTS * 8 >= 130
    assert one.salt.min() >= -128
    assert one.salt.max() < 128
    assert not np.array_equal(one.salt, two.salt)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 32.0, -32.5, 1e300])
def test_a_value_that_cannot_be_held_is_named_with_the_limit(training: Circuit, value: float) -> None:
    theta = np.zeros(PARAMETERS)
    theta[5] = value
    with pytest.raises(CallerError) as caught:
        ModelVector.from_floats(training, theta)
    assert "element (5,)" in str(caught.value)
    assert "[-32, 32)" in str(caught.value)
    assert "1 of 8" in str(caught.value)


def test_the_limits_themselves(training: Circuit) -> None:
    theta = np.full(PARAMETERS, -32.0)
    theta[0] = np.nextafter(32.0, 0)
    ModelVector.from_floats(training, theta)


@pytest.mark.parametrize("shape", [(7,), (9,), (1, 8), (0,), ()])
def test_a_wrong_shape_is_named_with_the_right_one(training: Circuit, shape: tuple[int, ...]) -> None:
    with pytest.raises(CallerError, match=r"the model has shape .* takes \(8,\)"):
        ModelVector.from_floats(training, np.zeros(shape))


@pytest.mark.parametrize(
    "values", [["a"] * 8, [1, [2]], object(), torch.zeros(8, requires_grad=True)], ids=lambda v: str(type(v))
)
def test_what_is_no_array_of_numbers_is_refused(training: Circuit, values: object) -> None:
    with pytest.raises(CallerError, match="the model"):
        ModelVector.from_floats(training, values)  # type: ignore[arg-type]


def test_check_finite_names_the_first_of_many() -> None:
    values = np.zeros((2, 3))
    values[1, 0] = values[1, 2] = np.nan
    with pytest.raises(CallerError, match=r"x: element \(1, 0\) is nan.*2 of 6"):
        check_finite("x", values, (2, 3), 1.0)


def test_a_vector_is_split_and_joined_again(training: Circuit) -> None:
    model = ModelVector.from_floats(training, np.linspace(-1, 1, PARAMETERS))
    again = ModelVector.from_vector(training, model.vector)
    assert np.array_equal(again.parameters, model.parameters)
    assert np.array_equal(again.salt, model.salt)
    for length in (0, PARAMETERS, PARAMETERS + SALTS + 1):
        with pytest.raises(CallerError, match=f"takes \\({PARAMETERS + SALTS},\\)"):
            ModelVector.from_vector(training, np.zeros(length, dtype=np.int64))


def test_a_step_moves_parameters_and_salt(training: Circuit) -> None:
    model = ModelVector.from_floats(training, np.zeros(PARAMETERS))
    step = np.arange(PARAMETERS + SALTS)
    moved = model.minus(step)
    assert np.array_equal(moved.vector, model.vector - step)
    assert np.array_equal(moved.plus(step).vector, model.vector)
    assert len(moved.salt) == SALTS


def test_an_average_holds_no_model(average: Circuit) -> None:
    with pytest.raises(CallerError, match="'tiny-average' is a circuit of kind 'average'"):
        training_spec(average)
