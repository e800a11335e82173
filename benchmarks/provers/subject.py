"""What is proven: a compiled circuit and vectors that satisfy it."""

from __future__ import annotations

from dataclasses import dataclass

from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.circuits.witness import late_vectors, sample_vectors
from fedproof.commitments import NO_CONTEXT
from fedproof.project import Project
from fedproof.provers import ProofRun, Prover


@dataclass(frozen=True)
class Subject:
    """A circuit in one piece, with committed vectors."""

    circuit: Circuit
    slots: list[list[int]]

    @classmethod
    def of(cls, project: Project, name: str) -> Subject:
        circuit = CircuitStore(project).get(name)
        vectors = sample_vectors(circuit.program)
        committed = [circuit.committer.full(v) for v in vectors]
        return cls(circuit, [*vectors, *late_vectors(circuit.program, committed, NO_CONTEXT)])

    @property
    def name(self) -> str:
        return self.circuit.name

    @property
    def key(self) -> str:
        return self.circuit.manifest.key

    def prove(self, prover: Prover) -> ProofRun:
        return prover.prove(self.circuit.folder, self.circuit.srs.path, self.slots)

    def check(self, prover: Prover, run: ProofRun) -> None:
        if not prover.verify(self.circuit.folder, self.circuit.srs.path, run.proof, run.instances):
            raise AssertionError(f"a proof of {self.name} does not verify")
