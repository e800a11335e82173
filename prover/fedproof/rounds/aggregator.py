"""The aggregator: recommits to what it received, averages exactly, proves the average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_salt, slot_vectors
from fedproof.commitments import Commitment
from fedproof.errors import CallerError
from fedproof.lowering import div_round, evaluate
from fedproof.lowering.ir import MAX_BOUND, IntArray
from fedproof.lowering.table import FIRST
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.proof import Proof
from fedproof.rounds.threads import of_use, proving_threads


@dataclass(frozen=True)
class Average:
    """An exact weighted average. ``delta`` (D + S,) is what moves the model; ``slots`` are what is proven.

    Of an average in shards ``slots`` are remainder, as committed, and delta; the shards' vectors follow.
    """

    circuit: Circuit
    delta: IntArray
    slots: list[list[int]]

    def commitment(self, index: int) -> Commitment:
        """C of vector ``index`` of ``slots``, as a proof of this average shows it."""
        shards, slot = self.circuit.manifest.shards, self.slots[index]
        if shards is not None and index == 0:
            slot = shards.padded(slot)
        return self.circuit.committer.full(slot)[: None if shards is None else shards.columns]

    @cached_property
    def parts(self) -> list[list[list[int]]]:
        """What each proof commits to: ``slots``, or the digits of each shard."""
        shards = self.circuit.manifest.shards
        if shards is None:
            return [self.slots]
        return shards.vectors_of(*self.slots)


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
        program = self.circuit.program
        values = evaluate(program, {"remainder": remainder, "delta": delta})
        if self.circuit.manifest.shards:
            return Average(self.circuit, delta, [(remainder + FIRST).tolist(), delta.tolist()])
        slots = slot_vectors(program, values, {s.name: random_salt(s.salt) for s in program.slots})
        return Average(self.circuit, delta, slots)

    def prove(self, average: Average, at_once: int | None = None) -> Proof:
        """Prove an average; of one in shards ``at_once`` at a time, else what the prover has use for."""
        numbers = range(len(average.parts))
        at_once = at_once or of_use(self.prover, len(numbers))
        if at_once == 1:
            # Not in a thread: an interrupt ends the worker as well.
            return Proof.joined(self.circuit, [self.prove_part(average, i) for i in numbers])
        with proving_threads(at_once) as pool:
            proofs = list(pool.map(lambda i: self.prove_part(average, i), numbers))
        return Proof.joined(self.circuit, proofs)

    def prove_part(self, average: Average, index: int) -> Proof:
        """Prove shard ``index`` alone: in any order, on any machine; number 0 of 1 is the whole."""
        part = self.circuit.parts[index]
        run = self.prover.prove(part.folder, part.srs.path, average.parts[index])
        return Proof.of(part, run)
