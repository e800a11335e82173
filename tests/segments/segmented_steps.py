"""Steps of the segmented circuit, and the proofs of their segments."""

from __future__ import annotations

from dataclasses import dataclass

from segmented_project import parameters, samples

from fedproof.circuits.store import Circuit
from fedproof.commitments import NO_CONTEXT
from fedproof.lowering import shared
from fedproof.rounds.prepared import prove_part
from fedproof.rounds.proof import Proof
from fedproof.rounds.trainer import PreparedStep, Trainer
from fedproof.rounds.vectors import ModelVector

OURS = b"\1" * 32


@dataclass(frozen=True)
class Taken:
    """A step, and the proof of each of its segments."""

    step: PreparedStep
    proofs: list[Proof]

    @property
    def whole(self) -> Proof:
        return Proof.joined(self.step.circuit, self.proofs)

    def with_part(self, index: int, proof: Proof) -> Proof:
        """The proof with another one in place of a segment's."""
        parts = list(self.proofs)
        parts[index] = proof
        return self.whole.model_copy(update={"segments": tuple(parts)})


def prepared(circuit: Circuit, seed: int) -> PreparedStep:
    trainer = Trainer(circuit, ModelVector.from_floats(circuit, parameters(seed)))
    return trainer.step(*samples(seed))


def taken(circuit: Circuit, seed: int, context: bytes = NO_CONTEXT) -> Taken:
    step = prepared(circuit, seed)
    return Taken(step, [prove_part(step, i, context=context) for i in range(len(circuit.parts))])


def resalted(step: PreparedStep, name: str) -> PreparedStep:
    """The same step with another salt in one vector that ends in one: no claim speaks of it."""
    other = PreparedStep(step.circuit, [list(v) for v in step.slots])
    other.slot(name)[-1] += 1
    return other


def links(circuit: Circuit) -> dict[str, tuple[tuple[int, int], ...]]:
    """Where each vector of several segments stands: (segment, place) pairs."""
    return shared([[s.name for s in part.manifest.slots[:-1]] for part in circuit.parts])
