"""A proof as a file: what it proves is read from its bytes, never from what stands beside them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field, field_validator

from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.commitments import NO_CONTEXT, Commitment, challenge, read_commitments
from fedproof.documents import read_document
from fedproof.errors import InvalidProof
from fedproof.files import write_whole
from fedproof.provers import CpuProver, ProofRun, Prover


class Proof(Strict):
    """A proof of a circuit. ``seconds`` and ``peak_bytes`` say what making it took."""

    format: int = 1
    circuit: str
    key: str = Field(description="key of the compiled circuit")
    proof: str = Field(description="proof bytes in hex")
    instances: tuple[int, ...]
    context: str = Field(
        default=NO_CONTEXT.hex(), description="what its challenge binds it to, 32 bytes in hex"
    )
    columns: tuple[int, ...] = Field(description="points of each committed vector, in order")
    witness_s: float
    prove_s: float
    peak_bytes: int

    @field_validator("proof", "context")
    @classmethod
    def _is_hex(cls, value: str) -> str:
        bytes.fromhex(value.removeprefix("0x"))
        return value

    @classmethod
    def of(cls, circuit: Circuit, run: ProofRun, context: bytes = NO_CONTEXT) -> Proof:
        """Wrap what a prover returned for ``context``."""
        return cls(
            circuit=circuit.name,
            key=circuit.manifest.key,
            proof="0x" + run.proof.hex(),
            instances=run.instances,
            context=context.hex(),
            columns=tuple(s.columns for s in circuit.manifest.slots),
            witness_s=round(run.witness_s, 4),
            prove_s=round(run.prove_s, 4),
            peak_bytes=run.peak_bytes,
        )

    @property
    def raw(self) -> bytes:
        """The proof bytes."""
        return bytes.fromhex(self.proof.removeprefix("0x"))

    @cached_property
    def commitments(self) -> list[Commitment]:
        """C of each committed vector, in the circuit's order, as read from the proof bytes."""
        return read_commitments(self.raw, self.columns)

    def save(self, path: Path) -> None:
        """Write the proof as JSON."""
        write_whole(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Proof:
        """Read a proof file; raises :class:`CallerError` if it is missing or not one."""
        return read_document(cls, path, "proof")


def check_proof(
    circuit: Circuit, proof: Proof, prover: Prover | None = None, *, context: bytes | None = None
) -> list[Commitment]:
    """Verify a proof of ``circuit``; return C of each committed vector.

    ``context`` is what it must have been made for; None takes any that it names. Raises
    :class:`InvalidProof` saying which check failed: circuit, length, context, instances, points or the proof.
    """
    manifest = circuit.manifest
    if proof.key != manifest.key:
        raise InvalidProof(
            f"the proof is of circuit {proof.circuit} {proof.key}, not of {circuit.name} {manifest.key}"
        )
    if len(proof.raw) != manifest.costs.proof_bytes:
        raise InvalidProof(
            f"the proof has {len(proof.raw)} bytes, "
            f"proofs of {circuit.name} have {manifest.costs.proof_bytes}"
        )
    made_for = bytes.fromhex(proof.context)
    if context is not None and made_for != context:
        raise InvalidProof(f"the proof was made for the context {proof.context}, not for {context.hex()}")
    commitments = read_commitments(proof.raw, [s.columns for s in manifest.slots])
    expected = manifest.instances
    if manifest.challenge_points:
        expected = (*expected, challenge(made_for, commitments[:-1]))
    if proof.instances != expected:
        raise InvalidProof(f"the public instances are {proof.instances}, they must be {expected}")
    if not (prover or CpuProver()).verify(circuit.folder, circuit.srs.path, proof.raw, proof.instances):
        raise InvalidProof(f"the proof of {circuit.name} does not verify")
    return commitments
