"""Models as integer vectors: the parameters at a fixed number of fractional bits, then the salt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedproof.circuits import TrainingSpec
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_small
from fedproof.errors import CallerError
from fedproof.lowering import quantize, salt_length
from fedproof.lowering.ir import IntArray

Floats = NDArray[Any]


def training_spec(circuit: Circuit) -> TrainingSpec:
    """Return the declaration of a training circuit; raises :class:`CallerError` for another kind."""
    spec = circuit.manifest.spec
    if not isinstance(spec, TrainingSpec):
        raise CallerError(
            f"{circuit.name!r} is a circuit of kind {spec.kind!r}, a training circuit is needed"
        )
    return spec


def check_finite(name: str, values: Floats, shape: tuple[int, ...], limit: float) -> NDArray[np.float64]:
    """Return ``values`` as float64 of ``shape``; every element finite and in [-limit, limit).

    Raises :class:`CallerError` naming the element, its value and the limit.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    # torch raises RuntimeError for a tensor that still needs its gradient.
    except (TypeError, ValueError, RuntimeError) as e:
        raise CallerError(f"{name} is not an array of numbers: {e}") from e
    if array.shape != shape:
        raise CallerError(f"{name} has shape {array.shape}, the circuit takes {shape}")
    # Written so that NaN fails too.
    bad = np.flatnonzero(~((array >= -limit) & (array < limit)).ravel())
    if bad.size:
        where = tuple(int(i) for i in np.unravel_index(bad[0], shape))
        raise CallerError(
            f"{name}: element {where} is {float(array.ravel()[bad[0]])}; "
            f"values must lie in [{-limit:g}, {limit:g})",
            hint=f"{bad.size} of {array.size} elements do not; scale the data or give the circuit more bits",
        )
    return array


@dataclass(frozen=True)
class ModelVector:
    """A model in the circuit's integers. ``parameters`` (D,) and ``salt`` (S,), both int64.

    A parameter stands for ``integer / 2**fractional_bits``.
    """

    parameters: IntArray
    salt: IntArray
    fractional_bits: int

    @classmethod
    def from_floats(cls, circuit: Circuit, theta: Floats) -> ModelVector:
        """Quantise a flat parameter vector (D,) for a circuit of a model; the salt is drawn at random."""
        numbers = circuit.numbers
        length = circuit.manifest.slot("model").length
        salts = salt_length(numbers.table)
        limit = 2.0 ** (numbers.model - 1 - numbers.weights)
        theta = check_finite("the model", theta, (length - salts,), limit)
        return cls(quantize(theta, numbers.weights), random_small(salts, numbers.table), numbers.weights)

    @classmethod
    def from_vector(cls, circuit: Circuit, vector: IntArray) -> ModelVector:
        """Split a committed vector (D + S,) into parameters and salt."""
        numbers = circuit.numbers
        salts = salt_length(numbers.table)
        length = circuit.manifest.slot("model").length
        vector = np.asarray(vector, dtype=np.int64)
        if vector.shape != (length,):
            raise CallerError(
                f"the model vector has shape {vector.shape}, {circuit.name!r} takes ({length},)"
            )
        return cls(vector[:-salts], vector[-salts:], numbers.weights)

    @classmethod
    def zeros(cls, circuit: Circuit) -> ModelVector:
        """Return zeros with a salt of zeros: where an optimiser's state starts, as anyone can see."""
        numbers, length = circuit.numbers, circuit.manifest.slot("model").length
        salts = salt_length(numbers.table)
        zeros = np.zeros(length, dtype=np.int64)
        return cls(zeros[:-salts], zeros[-salts:], numbers.weights)

    @property
    def vector(self) -> IntArray:
        """The committed vector (D + S,)."""
        return np.concatenate([self.parameters, self.salt])

    @property
    def floats(self) -> NDArray[np.float64]:
        """The parameters as real numbers (D,)."""
        return self.parameters / 2.0**self.fractional_bits

    def minus(self, step: IntArray) -> ModelVector:
        """Return this model after a step, given as a committed vector (D + S,)."""
        return self._moved(self.vector - step)

    def plus(self, delta: IntArray) -> ModelVector:
        """Return this model moved by ``delta``, given as a committed vector (D + S,)."""
        return self._moved(self.vector + delta)

    def _moved(self, vector: IntArray) -> ModelVector:
        d = len(self.parameters)
        return ModelVector(vector[:d], vector[d:], self.fractional_bits)
