"""What was computed and can be proven: the committed vectors of one proof, before there is one."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import late_vectors
from fedproof.commitments import NO_CONTEXT, Commitment
from fedproof.errors import InvalidProof
from fedproof.provers import CpuProver, Prover
from fedproof.rounds.proof import Proof
from fedproof.rounds.threads import of_use, proving_threads


@dataclass(frozen=True)
class Prepared:
    """Values that a circuit can prove.

    ``slots`` are the committed vectors: private, they hold the batch.
    """

    circuit: Circuit
    slots: list[list[int]]
    _commitments: dict[str, Commitment] = field(default_factory=dict, init=False, repr=False, compare=False)

    def slot(self, name: str) -> list[int]:
        """Return the committed vector of that name."""
        names = [s.name for s in self.circuit.manifest.slots]
        return self.slots[names.index(name)]

    def commitment(self, name: str) -> Commitment:
        """C of a committed vector, as the proof will carry it, computed before there is one."""
        if name not in self._commitments:
            self._commitments[name] = self.circuit.committer.full(self.slot(name))
        return self._commitments[name]


def prove_prepared(
    prepared: Prepared, prover: Prover | None = None, context: bytes = NO_CONTEXT, at_once: int | None = None
) -> Proof:
    """Prove what was computed, for ``context``; of a circuit in segments ``at_once`` segments at a time.

    Unless that is said, it is as many as are of use to the prover. Raises :class:`ProverKilled` (retryable)
    if the prover died.
    """

    def prove(index: int) -> Proof:
        return prove_part(prepared, index, prover, context)

    numbers = range(len(prepared.circuit.parts))
    at_once = at_once or of_use(prover, len(numbers))
    if at_once == 1:
        # Not in a thread: an interrupt ends the worker as well.
        return Proof.joined(prepared.circuit, [prove(i) for i in numbers])
    for part in prepared.circuit.parts:
        _ = part.program  # made once, before threads want it
    with proving_threads(at_once) as pool:
        proofs = list(pool.map(prove, numbers))
    return Proof.joined(prepared.circuit, proofs)


def prove_part(
    prepared: Prepared, index: int, prover: Prover | None = None, context: bytes = NO_CONTEXT
) -> Proof:
    """Prove segment ``index`` alone: in any order, on any machine; number 0 of 1 is the whole."""
    part = prepared.circuit.parts[index]
    names = [s.name for s in part.program.slots]
    committed = [prepared.commitment(name) for name in names]
    late = late_vectors(part.program, committed, context)
    vectors = [prepared.slot(name) for name in names]
    run = (prover or CpuProver()).prove(part.folder, part.srs.path, [*vectors, *late])
    proof = Proof.of(part, run, context)
    # A proof that commits to something else would be refused by the hub after gas was paid for it.
    for name, ours, found in zip(names, committed, proof.commitments, strict=False):
        if found != ours:
            raise InvalidProof(f"the proof commits to another {name} vector than the one computed")
    return proof
