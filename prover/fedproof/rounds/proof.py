"""A proof as a file: what it proves is read from its bytes, never from what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pydantic import Field, field_validator

from fedproof.circuits.shards import Shards
from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import LATE
from fedproof.commitments import NO_CONTEXT, Commitment, challenge, read_commitments
from fedproof.documents import read_document
from fedproof.errors import InvalidProof
from fedproof.files import write_whole
from fedproof.lowering import shared
from fedproof.provers import CpuProver, ProofRun, Prover


class Proof(Strict):
    """A proof of a circuit. ``seconds`` and ``peak_bytes`` say what making it took.

    That of a circuit in segments, or of an average in shards, is theirs, in order: its bytes are all their
    bytes.
    """

    format: int = 1
    circuit: str
    key: str = Field(description="key of the compiled circuit")
    proof: str = Field(description="proof bytes in hex; empty where there are segments or shards")
    instances: tuple[int, ...]
    context: str = Field(
        default=NO_CONTEXT.hex(), description="what its challenge binds it to, 32 bytes in hex"
    )
    vectors: tuple[str, ...] = Field(default=(), description="names of the committed vectors, in order")
    columns: tuple[int, ...] = Field(description="points of each committed vector, in order")
    segments: tuple[Proof, ...] = Field(
        default=(), description="the proof of each segment or shard, in order"
    )
    shards: Shards | None = Field(default=None, description="of shards: what their commitments add up to")
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
            vectors=tuple(s.name for s in circuit.manifest.slots),
            columns=tuple(s.columns for s in circuit.manifest.slots),
            witness_s=round(run.witness_s, 4),
            prove_s=round(run.prove_s, 4),
            peak_bytes=run.peak_bytes,
        )

    @classmethod
    def joined(cls, circuit: Circuit, parts: Sequence[Proof]) -> Proof:
        """Return the proof of a circuit from those of its parts, in order; times are sums."""
        if not circuit.manifest.segments and not circuit.manifest.shards:
            return parts[0]
        return cls(
            circuit=circuit.name,
            key=circuit.manifest.key,
            proof="",
            instances=tuple(i for p in parts for i in p.instances),
            context=parts[0].context,
            vectors=tuple(s.name for s in circuit.manifest.slots),
            columns=tuple(s.columns for s in circuit.manifest.slots),
            segments=tuple(parts),
            shards=circuit.manifest.shards,
            witness_s=round(sum(p.witness_s for p in parts), 4),
            prove_s=round(sum(p.prove_s for p in parts), 4),
            peak_bytes=max(p.peak_bytes for p in parts),
        )

    @property
    def raw(self) -> bytes:
        """The proof bytes, as a verifier contract takes them."""
        if self.segments:
            return b"".join(p.raw for p in self.segments)
        return bytes.fromhex(self.proof.removeprefix("0x"))

    @cached_property
    def commitments(self) -> list[Commitment]:
        """C of each committed vector, in the circuit's order, as read from the proof bytes.

        Of a vector of several segments it is what the first of them commits to; of shards what theirs add up
        to. Raises :class:`InvalidProof` if there are too few bytes, or no such vector.
        """
        if self.shards:
            return list(combined(self.shards, [p.commitments for p in self.segments]))
        if self.segments:
            found = {
                n: c for p in reversed(self.segments) for n, c in zip(p.vectors, p.commitments, strict=False)
            }
            if missing := [n for n in self.vectors if n not in found]:
                raise InvalidProof(f"no segment commits to the {missing[0]} vector")
            return [found[n] for n in self.vectors]
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
    """Verify a proof of ``circuit``; return C of each committed vector, in the order of its manifest.

    ``context`` is what it must have been made for; None takes any that it names. Raises
    :class:`InvalidProof` saying which check failed: circuit, length, context, instances, points or the proof,
    and in which segment or shard, or which vector it is that two segments commit to differently.
    """
    _demand_circuit(circuit, proof)
    if context is not None and (made_for := bytes.fromhex(proof.context)) != context:
        raise InvalidProof(f"the proof was made for the context {made_for.hex()}, not for {context.hex()}")
    if circuit.manifest.shards:
        found = _check_parts(circuit, proof, prover, "shard")
        return list(combined(circuit.manifest.shards, found))
    if not circuit.manifest.segments:
        return _check_one(circuit, proof, prover)
    return _check_segments(circuit, proof, prover)


def _demand_circuit(circuit: Circuit, proof: Proof) -> None:
    manifest = circuit.manifest
    if proof.key != manifest.key:
        raise InvalidProof(
            f"the proof is of circuit {proof.circuit} {proof.key}, not of {circuit.name} {manifest.key}"
        )
    wanted = manifest.shards.count if manifest.shards else len(manifest.segments)
    if len(proof.segments) != wanted:
        parts = "shards" if manifest.shards else "segments"
        raise InvalidProof(f"the proof has {len(proof.segments)} {parts}, {circuit.name} has {wanted}")
    if len(proof.raw) != manifest.costs.proof_bytes:
        raise InvalidProof(
            f"the proof has {len(proof.raw)} bytes, "
            f"proofs of {circuit.name} have {manifest.costs.proof_bytes}"
        )


def _check_one(circuit: Circuit, proof: Proof, prover: Prover | None) -> list[Commitment]:
    manifest = circuit.manifest
    commitments = read_commitments(proof.raw, [s.columns for s in manifest.slots])
    expected = manifest.instances
    if manifest.challenge_points:
        expected = (*expected, challenge(bytes.fromhex(proof.context), commitments[:-1]))
    if proof.instances != expected:
        raise InvalidProof(f"the public instances are {proof.instances}, they must be {expected}")
    if not (prover or CpuProver()).verify(circuit.folder, circuit.srs.path, proof.raw, proof.instances):
        raise InvalidProof(f"the proof of {circuit.name} does not verify")
    return commitments


def combined(shards: Shards, found: Sequence[Sequence[Commitment]]) -> tuple[Commitment, Commitment]:
    """C of remainder and quotient from C of each shard's; raises :class:`InvalidProof` if some lack."""
    points = [[point for vector in own for point in vector] for own in found]
    if [len(p) for p in points] != [shards.vectors * shards.points] * shards.count:
        raise InvalidProof(
            f"the proofs commit to {[len(p) for p in points]} columns, "
            f"{shards.count} shards to {shards.vectors * shards.points} each"
        )
    return shards.combined(points)


def _check_parts(circuit: Circuit, proof: Proof, prover: Prover | None, what: str) -> list[list[Commitment]]:
    """Check each segment or shard for itself; return C of their vectors."""
    made_for, found = bytes.fromhex(proof.context), []
    for i, (part, own) in enumerate(zip(circuit.parts, proof.segments, strict=True)):
        try:
            found.append(check_proof(part, own, prover, context=made_for))
        except InvalidProof as e:
            raise InvalidProof(f"{what} {i}: {e}") from e
    return found


def _check_segments(circuit: Circuit, proof: Proof, prover: Prover | None) -> list[Commitment]:
    found = _check_parts(circuit, proof, prover, "segment")
    # The manifest says which vector stands where, not the proof.
    names = [[s.name for s in entry.slots if s.name != LATE] for entry in circuit.manifest.segments]
    for name, ((first, at), *others) in shared(names).items():
        for segment, place in others:
            if found[segment][place] != found[first][at]:
                raise InvalidProof(f"segments {first} and {segment} commit to different {name} vectors")
    by_name = {
        n: c for own, given in zip(names, found, strict=True) for n, c in zip(own, given, strict=False)
    }
    return [by_name[s.name] for s in circuit.manifest.slots]
