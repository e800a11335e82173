"""Real steps of three trainers on real digits, averages of them, and the proofs of both.

Every proof is made once, when a test first asks for it. That of a step names a model, a round and a trainer:
it has one for every context in which it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from sklearn.datasets import load_digits

from fedproof.chain.hub import StepProof
from fedproof.circuits.store import Circuit
from fedproof.lowering.ir import IntArray
from fedproof.rounds import Aggregator, Dataset, ModelVector, PreparedStep, Proof, Trainer
from fedproof.rounds.aggregator import Average, fold_weights

TRAINER_COUNT = 3


@dataclass
class ProvenStep:
    """A step of one trainer, the path of its batch, and its proofs: one a context, made when first needed."""

    trainer: Trainer
    prepared: PreparedStep
    path: list[bytes]
    _proofs: dict[bytes, Proof] = field(default_factory=dict, repr=False)

    def proof_for(self, context: bytes) -> Proof:
        """The proof that a hub takes in ``context`` alone."""
        if context not in self._proofs:
            self._proofs[context] = self.trainer.prove(self.prepared, context)
        return self._proofs[context]

    @property
    def points(self) -> list[tuple[int, int]]:
        """Batch and step points, as a commit digest lists them; known before there is a proof."""
        return [*self.prepared.commitment("batch"), *self.prepared.commitment("step")]

    def argument_for(self, context: bytes) -> StepProof:
        """What a submission in ``context`` shows of this step."""
        return StepProof(self.proof_for(context).raw, self.path)


@dataclass
class ProvenAverage:
    """An average and its proof, made when first needed; without a challenge, it serves any round."""

    aggregator: Aggregator
    average: Average

    @cached_property
    def proof(self) -> Proof:
        return self.aggregator.prove(self.average)


class Evidence:
    """Three trainers' first round from one genesis: two steps of the first trainer, one of each other."""

    def __init__(self, step: Circuit, average: Circuit) -> None:
        self.step, self.average = step, average
        generator = np.random.default_rng(7)
        self.genesis = ModelVector.from_floats(step, generator.uniform(-0.1, 0.1, 650))
        self.other_genesis = ModelVector.from_floats(step, generator.uniform(-0.1, 0.1, 650))
        digits = load_digits()
        x, y = digits.data / 16.0, np.eye(10)[digits.target]
        shards = [slice(16 * i, 16 * (i + 1)) for i in range(TRAINER_COUNT)]
        self.datasets = [Dataset.from_floats(step, x[shard], y[shard]) for shard in shards]
        self.aggregator = Aggregator(average)
        self._trainers = [Trainer(step, self.genesis) for _ in range(TRAINER_COUNT)]
        counts = (2, 1, 1)
        self.steps = [
            [self._take(trainer, owner, batch) for batch in range(count)]
            for owner, (trainer, count) in enumerate(zip(self._trainers, counts, strict=True))
        ]

    def _take(self, trainer: Trainer, owner: int, batch: int) -> ProvenStep:
        dataset = self.datasets[owner]
        return ProvenStep(trainer, trainer.step(dataset.batches[batch]), dataset.path(batch))

    @cached_property
    def of_another_model(self) -> ProvenStep:
        """A true step of the first trainer on its own first batch, from another model than the global one."""
        return self._take(Trainer(self.step, self.other_genesis), 0, 0)

    @cached_property
    def of_another_batch(self) -> ProvenStep:
        """A true first step of the first trainer, on its second batch."""
        return self._take(Trainer(self.step, self.genesis), 0, 1)

    @property
    def updates(self) -> list[IntArray]:
        return [trainer.update for trainer in self._trainers]

    @property
    def weights(self) -> list[int]:
        return fold_weights([len(steps) for steps in self.steps], self.aggregator.bits)

    def averaged(self, updates: Sequence[IntArray], weights: Sequence[int]) -> ProvenAverage:
        return ProvenAverage(self.aggregator, self.aggregator.average(updates, weights))

    @cached_property
    def honest(self) -> ProvenAverage:
        return self.averaged(self.updates, self.weights)

    @cached_property
    def without_the_last(self) -> ProvenAverage:
        """The average over the first two trainers, weighed as by the hub if the third is left out."""
        return self.averaged(self.updates[:2], fold_weights([2, 1], self.aggregator.bits))

    @cached_property
    def with_swapped_weights(self) -> ProvenAverage:
        first, second, third = self.weights
        return self.averaged(self.updates, [second, first, third])

    @cached_property
    def with_a_swapped_trainer(self) -> ProvenAverage:
        """The third trainer's update replaced by the first one's first step."""
        forged = -self.steps[0][0].prepared.vector
        return self.averaged([*self.updates[:2], forged], self.weights)

    @cached_property
    def with_delta_off_by_one(self) -> ProvenAverage:
        """Δ one unit higher in one coordinate, the remainder left where the circuit accepts it."""
        remainder, delta, *advice = (list(slot) for slot in self.honest.average.slots)
        delta[100] += 1
        honest = self.honest.average
        return ProvenAverage(
            self.aggregator, replace(honest, delta=np.array(delta), slots=[remainder, delta, *advice])
        )
