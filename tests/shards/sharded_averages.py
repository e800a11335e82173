"""Averages of three trainers' updates, and their proofs."""

from __future__ import annotations

from dataclasses import dataclass

from sharded_project import BITS, updates

from fedproof.circuits.store import Circuit
from fedproof.rounds import Aggregator, Average, Proof
from fedproof.rounds.aggregator import fold_weights


@dataclass(frozen=True)
class Averaged:
    """An average of three trainers' updates, and its proof."""

    aggregator: Aggregator
    weights: list[int]
    average: Average
    proof: Proof

    @classmethod
    def of(cls, circuit: Circuit, seed: int) -> Averaged:
        aggregator, weights = Aggregator(circuit), fold_weights([1, 2, 4], BITS)
        average = aggregator.average(updates(aggregator.length, seed=seed), weights)
        return cls(aggregator, weights, average, aggregator.prove(average))

    def with_shards(self, *proofs: Proof) -> Proof:
        """The proof with other shards' proofs."""
        return self.proof.model_copy(update={"segments": tuple(proofs)})
