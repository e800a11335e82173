"""A trainer: exact local steps, and proofs of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import random_salt, random_small, slot_vectors
from fedproof.commitments import NO_CONTEXT, Commitment, neg, sub
from fedproof.errors import CallerError
from fedproof.lowering import evaluate, salt_length
from fedproof.lowering.ir import IntArray
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.dataset import Batch
from fedproof.rounds.prepared import Prepared, prove_prepared
from fedproof.rounds.proof import Proof
from fedproof.rounds.vectors import Floats, ModelVector, training_spec


class PreparedStep(Prepared):
    """A step that was taken and can be proven."""

    @property
    def vector(self) -> IntArray:
        """The step (D + S,): what is subtracted from the model."""
        return np.array(self.slot("step"), dtype=np.int64)


class Trainer:
    """Trains a model in the circuit's integers, step by step, and proves each step.

    ``model`` moves with every step, and so does ``state``, that of an optimiser with momentum; ``steps`` are
    those taken since the start or the last :meth:`restart`.
    """

    model: ModelVector
    state: ModelVector | None

    def __init__(self, circuit: Circuit, model: ModelVector, prover: Prover | None = None) -> None:
        self.spec = training_spec(circuit)
        self.circuit = circuit
        self.prover = prover or CpuProver()
        self.restart(model)

    def restart(self, model: ModelVector, state: ModelVector | None = None) -> None:
        """Start a new chain of steps from ``model``, the current global model, and ``state`` or zeros."""
        stateful = self.circuit.manifest.has("state")
        if state is not None and not stateful:
            raise CallerError(f"the optimiser of {self.circuit.name!r} has no state")
        self.start = self.model = model
        self.state = (state or ModelVector.zeros(self.circuit)) if stateful else None
        self.steps: list[PreparedStep] = []

    def step(self, x: Floats | Batch, y: Floats | None = None, mask: Floats | None = None) -> PreparedStep:
        """Take one SGD step on a batch, exactly; return it ready to be proven.

        ``x`` (B, *sample) and ``y`` (B, *target) are real numbers, or ``x`` is a :class:`Batch`; a module
        with dropout takes a ``mask`` (B, K) of 0 and 1. Raises :class:`CallerError` for a wrong shape, NaN,
        or a value some tensor cannot hold, naming the element.
        """
        batch = x if isinstance(x, Batch) else Batch.from_floats(self.circuit, x, np.asarray(y), mask)
        table = self.spec.numbers.table
        inputs = {
            "model": self.model.parameters,
            "x": batch.x,
            "y": batch.y,
            "step_salt": random_small(salt_length(table), table),
        }
        if batch.mask is not None:
            inputs["mask"] = batch.mask
        program = self.circuit.program
        salts = {s.name: random_salt(s.salt) for s in program.slots}
        salts |= {"model": [int(s) for s in self.model.salt], "batch": list(batch.salt)}
        if self.state is not None:
            inputs["state"] = self.state.parameters
            inputs["state_salt"] = random_small(salt_length(table), table)
            salts["state"] = [int(s) for s in self.state.salt]
        values = evaluate(program, inputs)
        prepared = PreparedStep(self.circuit, slot_vectors(program, values, salts))
        self.take(prepared)
        return prepared

    def take(self, prepared: PreparedStep) -> None:
        """Go on from a step that was taken before, from this very model and state.

        Raises :class:`CallerError` if it was taken from another one.
        """
        at = {"model": self.model} | ({} if self.state is None else {"state": self.state})
        for name, vector in at.items():
            if prepared.slot(name) != vector.vector.tolist():
                raise CallerError(f"the step was taken from another {name} than the trainer is at")
        self.model = self.model.minus(prepared.vector)
        if self.state is not None:
            self.state = ModelVector.from_vector(self.circuit, np.array(prepared.slot("new_state")))
        self.steps.append(prepared)

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
    return prove_prepared(step, prover, context)


def update_commitment(steps: Sequence[PreparedStep]) -> Commitment:
    """Pure commitment of the update that steps make: minus the sum of theirs."""
    if not steps:
        raise CallerError("no step was taken: there is no update")
    committer = steps[0].circuit.committer
    total = neg(committer.to_pure(steps[0].commitment("step")))
    for step in steps[1:]:
        total = sub(total, committer.to_pure(step.commitment("step")))
    return total
