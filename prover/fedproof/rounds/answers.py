"""What a committed model answers, and how many of its answers are right: computed and proven.

Answer and count are committed without salt, so whoever is told one can open its commitment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedproof.circuits import EvaluationSpec, InferenceSpec
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_salt, slot_vectors
from fedproof.commitments import NO_CONTEXT
from fedproof.lowering import evaluate
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.rounds.prepared import Prepared, prove_prepared
from fedproof.rounds.proof import Proof
from fedproof.rounds.samples import Samples, demand_kind
from fedproof.rounds.vectors import Floats, ModelVector


@dataclass(frozen=True)
class Answer:
    """What a model answered. ``integers`` (B, elements) stand for
    ``integer / 2**fractional_bits``."""

    integers: IntArray
    fractional_bits: int

    @property
    def floats(self) -> NDArray[np.float64]:
        """The answer as real numbers (B, elements)."""
        return self.integers / 2.0**self.fractional_bits


def answer(circuit: Circuit, model: ModelVector, x: Floats | Samples) -> tuple[Answer, Prepared]:
    """Compute an inference exactly, ready to be proven. ``x`` is (B, *sample) real numbers."""
    demand_kind(circuit, InferenceSpec)
    samples = x if isinstance(x, Samples) else Samples.from_floats(circuit, x)
    prepared = _prepared(circuit, model, samples, {"x": samples.x})
    flat = np.array(prepared.slot("answer"), dtype=np.int64)
    return Answer(flat.reshape(len(samples.x), -1), circuit.numbers.activations), prepared


def count(
    circuit: Circuit, model: ModelVector, x: Floats | Samples, labels: Floats | None = None
) -> tuple[int, Prepared]:
    """Count right answers exactly, ready to be proven; ``labels`` are classes (B,) or one-hot (B, C)."""
    demand_kind(circuit, EvaluationSpec)
    samples = x if isinstance(x, Samples) else Samples.from_floats(circuit, x, labels)
    assert samples.labels is not None
    prepared = _prepared(circuit, model, samples, {"x": samples.x, "y": samples.labels})
    return prepared.slot("count")[0], prepared


def prove_inference(
    circuit: Circuit,
    model: ModelVector,
    x: Floats | Samples,
    prover: Prover | None = None,
    context: bytes = NO_CONTEXT,
) -> tuple[Answer, Proof]:
    """Answer ``x`` with ``model`` and prove it."""
    found, prepared = answer(circuit, model, x)
    return found, prove_prepared(prepared, prover, context)


def prove_evaluation(
    circuit: Circuit,
    model: ModelVector,
    x: Floats | Samples,
    labels: Floats | None = None,
    prover: Prover | None = None,
    context: bytes = NO_CONTEXT,
) -> tuple[int, Proof]:
    """Count the right answers of ``model`` on ``x`` and prove the count."""
    found, prepared = count(circuit, model, x, labels)
    return found, prove_prepared(prepared, prover, context)


def _prepared(
    circuit: Circuit, model: ModelVector, samples: Samples, inputs: dict[str, IntArray]
) -> Prepared:
    program = circuit.program
    values = evaluate(program, {"model": model.parameters, **inputs})
    salts = {s.name: random_salt(s.salt) for s in program.slots}
    salts |= {"model": [int(s) for s in model.salt], "batch": list(samples.salt)}
    return Prepared(circuit, slot_vectors(program, values, salts))
