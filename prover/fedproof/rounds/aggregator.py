"""The aggregator: recommits to what it received, averages exactly, proves the average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_salt, slot_vectors
from fedproof.commitments import Commitment
from fedproof.errors import CallerError
from fedproof.lowering import div_round, evaluate
from fedproof.lowering.ir import MAX_BOUND, IntArray
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.proof import Proof


@dataclass(frozen=True)
class Average:
    """An exact weighted average. ``delta`` (D + S,) is what moves the model; ``slots`` are what is proven."""

    circuit: Circuit
    delta: IntArray
    slots: list[list[int]]


def fold_weights(samples: Sequence[int], bits: int) -> list[int]:
    """Integer weights that sum to 2**bits exactly, in proportion to ``samples``, as the hub computes them.

    W_i = floor(2^t * cum_i / total) - floor(2^t * cum_(i-1) / total).
    """
    counts = [int(n) for n in samples]
    if not counts or min(counts) <= 0:
        raise CallerError(f"samples must be positive, got {counts}")
    total = sum(counts)
    ends = [(c << bits) // total for c in accumulate(counts)]
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


class Aggregator:
    """Averages updates for a circuit of kind ``average``."""

    def __init__(self, circuit: Circuit, prover: Prover | None = None) -> None:
        if not isinstance(circuit.manifest.spec, AverageSpec):
            raise CallerError(f"{circuit.name!r} is not a circuit of kind 'average'")
        self.circuit = circuit
        self.bits = circuit.manifest.spec.table
        self.length = circuit.manifest.slot("delta").length
        self.prover = prover or CpuProver()

    def receive(self, update: IntArray, commitment: Commitment, *, trainer: str = "a trainer") -> IntArray:
        """Check a received update (D + S,) against its pure commitment before relying on it; return it.

        Raises :class:`CommitmentMismatch` if it is another vector, :class:`CallerError` if it is no vector of
        this model.
        """
        vector = self._vector(update, trainer)
        self.circuit.committer.check_opening(vector, commitment, what=f"update of {trainer}")
        return vector

    def _vector(self, update: IntArray, trainer: str) -> IntArray:
        vector = np.asarray(update)
        if vector.shape != (self.length,) or vector.dtype != np.int64:
            raise CallerError(
                f"the update of {trainer} is {vector.dtype} of shape {vector.shape}, "
                f"expected int64 of ({self.length},)"
            )
        return vector

    def average(self, updates: Sequence[IntArray], weights: Sequence[int]) -> Average:
        """Average updates with integer weights that sum to 2**bits. No trainer's data is needed.

        Raises :class:`CallerError` if an average is out of the circuit's range, naming the element.
        """
        if len(updates) != len(weights) or not updates:
            raise CallerError(f"{len(updates)} updates and {len(weights)} weights")
        if sum(weights) != 2**self.bits or min(weights) < 0:
            raise CallerError(f"weights must not be negative and sum to {2**self.bits}, got {list(weights)}")
        vectors = [self._vector(u, f"trainer {i}") for i, u in enumerate(updates)]
        # Recommitted vectors can hold anything a trainer could prove; the sum must not overflow on the way.
        largest = max(max(int(u.max()), -int(u.min())) for u in vectors)
        if largest * 2**self.bits > MAX_BOUND:
            raise CallerError(
                f"an update has an element of absolute value {largest}: no average of it is in range"
            )
        total: IntArray = np.asarray(weights, dtype=np.int64) @ np.stack(updates)
        delta = div_round(total, self.bits)
        remainder = total + (1 << (self.bits - 1)) - (delta << self.bits)
        values = evaluate(self.circuit.program, {"remainder": remainder, "delta": delta})
        program = self.circuit.program
        slots = slot_vectors(program, values, {s.name: random_salt(s.salt) for s in program.slots})
        return Average(self.circuit, delta, slots)

    def prove(self, average: Average) -> Proof:
        """Prove an average."""
        run = self.prover.prove(self.circuit.folder, self.circuit.srs.path, average.slots)
        return Proof.of(self.circuit, run)
