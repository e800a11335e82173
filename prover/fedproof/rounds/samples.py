"""The batch of an inference or an evaluation, in a circuit's integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, get_args

import numpy as np

from fedproof.circuits import EvaluationSpec, InferenceSpec
from fedproof.circuits.spec import ForwardSpec
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_salt
from fedproof.errors import CallerError
from fedproof.lowering import batch_shift, quantize
from fedproof.lowering.ir import IntArray
from fedproof.rounds.vectors import Floats, check_finite

Spec = TypeVar("Spec", bound=ForwardSpec)


def demand_kind(circuit: Circuit, kind: type[Spec]) -> Spec:
    """Return the declaration of a circuit of that kind; raises :class:`CallerError` for another one."""
    spec = circuit.manifest.spec
    if not isinstance(spec, kind):
        wanted = get_args(kind.model_fields["kind"].annotation)[0]
        raise CallerError(f"{circuit.name!r} is a circuit of kind {spec.kind!r}, one of {wanted!r} is needed")
    return spec


@dataclass(frozen=True)
class Samples:
    """The batch of an inference or an evaluation, in the circuit's integers: private until it is shown.

    ``x`` (B, *sample) int64, ``labels`` (B, C) one-hot where there are any, ``salt`` of its commitment.
    """

    x: IntArray
    labels: IntArray | None
    salt: tuple[int, ...]
    shift: int

    @classmethod
    def from_floats(
        cls, circuit: Circuit, x: Floats, labels: Floats | None = None, *, salt: tuple[int, ...] = ()
    ) -> Samples:
        """Quantise a batch; ``labels`` are classes (B,) or one-hot (B, C). Without ``salt`` one is drawn.

        Raises :class:`CallerError` for a wrong shape, a value out of range, or a label that is no class.
        """
        spec = circuit.manifest.spec
        if not isinstance(spec, InferenceSpec | EvaluationSpec):
            raise CallerError(f"{circuit.name!r} is a circuit of kind {spec.kind!r}, which answers nothing")
        numbers, whole = circuit.numbers, circuit.training
        half = 2.0 ** (numbers.table - 1)
        xs = check_finite("x", x, (spec.batch, *whole.sample), half / 2**numbers.inputs)
        ints = np.minimum(quantize(xs, numbers.inputs, "x"), int(half) - 1)
        hot = _one_hot(labels, spec.batch, whole.target[0]) if isinstance(spec, EvaluationSpec) else None
        salts = salt or tuple(random_salt(circuit.manifest.slot("batch").salt))
        return cls(ints, hot, salts, batch_shift(numbers))

    @property
    def vector(self) -> list[int]:
        """The committed vector: x and labels, shifted to the rows of the lookup table, and the salt."""
        values = [self.x.ravel()] + ([] if self.labels is None else [self.labels.ravel()])
        return [*(np.concatenate(values) + self.shift).tolist(), *self.salt]


def _one_hot(labels: Floats | None, samples: int, classes: int) -> IntArray:
    if labels is None:
        raise CallerError("an evaluation needs labels")
    given = np.asarray(labels)
    if given.shape == (samples, classes):
        # An element that is no bit would be found in the circuit; here it is named.
        if not (np.isin(given, (0, 1)).all() and (given.sum(1) == 1).all()):
            raise CallerError("labels of one row a sample must be one-hot: one 1, else 0")
        return given.astype(np.int64)
    if given.shape != (samples,):
        raise CallerError(
            f"labels have shape {given.shape}, the circuit takes ({samples},) or ({samples}, {classes})"
        )
    bad = np.flatnonzero(~np.isin(given, np.arange(classes)))
    if bad.size:
        raise CallerError(
            f"labels: element {bad[0]} is {given[bad[0]]}, there are {classes} classes from 0 on"
        )
    return np.eye(classes, dtype=np.int64)[given.astype(np.int64)]
