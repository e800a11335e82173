"""A trainer: exact local steps, and proofs of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import late_vectors, random_salt, random_small, slot_vectors
from fedproof.commitments import NO_CONTEXT, Commitment
from fedproof.errors import InvalidProof
from fedproof.lowering import evaluate, salt_length
from fedproof.lowering.ir import IntArray
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.dataset import Batch
from fedproof.rounds.proof import Proof
from fedproof.rounds.vectors import Floats, ModelVector, training_spec


@dataclass(frozen=True)
class PreparedStep:
    """A step that was taken and can be proven.

    ``slots`` are the committed vectors: private, they hold the batch.
    """

    circuit: Circuit
    slots: list[list[int]]
    _commitments: dict[str, Commitment] = field(default_factory=dict, init=False, repr=False, compare=False)

    def slot(self, name: str) -> list[int]:
        """Return the committed vector of that name."""
        names = [s.name for s in self.circuit.manifest.slots]
        return self.slots[names.index(name)]

    @property
    def vector(self) -> IntArray:
        """The step (D + S,): what is subtracted from the model."""
        return np.array(self.slot("step"), dtype=np.int64)

    def commitment(self, name: str) -> Commitment:
        """C of a committed vector, as the proof will carry it, computed before there is one."""
        if name not in self._commitments:
            self._commitments[name] = self.circuit.committer.full(self.slot(name))
        return self._commitments[name]


class Trainer:
    """Trains a model in the circuit's integers, step by step, and proves each step.

    ``model`` moves with every step; ``steps`` are those taken since the start or the last :meth:`restart`.
    """

    def __init__(self, circuit: Circuit, model: ModelVector, prover: Prover | None = None) -> None:
        self.spec = training_spec(circuit)
        self.circuit = circuit
        self.prover = prover or CpuProver()
        self.restart(model)

    def restart(self, model: ModelVector) -> None:
        """Start a new chain of steps from ``model``, the current global model."""
        self.start = self.model = model
        self.steps: list[PreparedStep] = []

    def step(self, x: Floats | Batch, y: Floats | None = None) -> PreparedStep:
        """Take one SGD step on a batch, exactly; return it ready to be proven.

        ``x`` (B, *sample) and ``y`` (B, *target) are real numbers, or ``x`` is a :class:`Batch`. Raises
        :class:`CallerError` for a wrong shape, NaN, or a value some tensor cannot hold, naming the element.
        """
        batch = x if isinstance(x, Batch) else Batch.from_floats(self.circuit, x, np.asarray(y))
        table = self.spec.numbers.table
        inputs = {
            "model": self.model.parameters,
            "x": batch.x,
            "y": batch.y,
            "step_salt": random_small(salt_length(table), table),
        }
        values = evaluate(self.circuit.program, inputs)
        program = self.circuit.program
        salts = {s.name: random_salt(s.salt) for s in program.slots}
        salts |= {"model": [int(s) for s in self.model.salt], "batch": list(batch.salt)}
        prepared = PreparedStep(self.circuit, slot_vectors(program, values, salts))
        self.model = self.model.minus(prepared.vector)
        self.steps.append(prepared)
        return prepared

    @property
    def update(self) -> IntArray:
        """The update so far (D + S,): the sum of minus the steps."""
        return self.model.vector - self.start.vector

    def prove(self, step: PreparedStep, context: bytes = NO_CONTEXT) -> Proof:
        """Prove a step; see :func:`prove_step`."""
        return prove_step(step, self.prover, context)


def prove_step(step: PreparedStep, prover: Prover | None = None, context: bytes = NO_CONTEXT) -> Proof:
    """Prove a prepared step for ``context``: a hub takes it from one trainer in one round of one model.

    Raises :class:`ProverKilled` (retryable) if the prover died.
    """
    parts = [prove_part(step, i, prover, context) for i in range(len(step.circuit.parts))]
    return Proof.joined(step.circuit, parts)


def prove_part(
    step: PreparedStep, index: int, prover: Prover | None = None, context: bytes = NO_CONTEXT
) -> Proof:
    """Prove segment ``index`` of a step, alone: in any order, on any machine; number 0 of 1 is the step."""
    part = step.circuit.parts[index]
    names = [s.name for s in part.program.slots]
    committed = [step.commitment(name) for name in names]
    late = late_vectors(part.program, committed, context)
    vectors = [step.slot(name) for name in names]
    run = (prover or CpuProver()).prove(part.folder, part.srs.path, [*vectors, *late])
    proof = Proof.of(part, run, context)
    # A proof that commits to something else would be refused by the hub after gas was paid for it.
    for name, ours, found in zip(names, committed, proof.commitments, strict=False):
        if found != ours:
            raise InvalidProof(f"the proof commits to another {name} vector than that of the step taken")
    return proof
