"""What a deployment needs to know of a circuit's verifier, or of those of its segments or shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedproof.chain.vka import vka_digest
from fedproof.circuits.shards import Shards

#: (segment, point): number ``point`` of the commitments that the proof of a segment starts with.
Place = tuple[int, int]


@dataclass(frozen=True)
class VerifierSpec:
    """A circuit's verifier to deploy, from the circuit's manifest.

    ``source`` is the generated Solidity, as a path or as text. ``instances`` are the public instances pinned
    for ever, without the challenge; ``commitment_count`` how many points a proof starts with,
    ``challenge_points`` how many of these its challenge follows from, 0 for none; ``proof_bytes`` its exact
    length. ``vka`` are the 32-byte words of the key for a reusable verifier, empty for a plain one.
    """

    circuit: str
    source: Path | str
    instances: Sequence[int]
    commitment_count: int
    proof_bytes: int
    development_srs: bool
    srs_sha256: str
    vka: Sequence[bytes] = ()
    challenge_points: int = 0

    def adapter_arguments(self, generated: str) -> tuple[str, tuple[object, ...]]:
        """The adapter's contract, and what its constructor takes, for the generated verifier there."""
        arguments: tuple[object, ...] = (
            generated,
            list(self.instances),
            self.commitment_count,
            self.challenge_points,
            self.proof_bytes,
        )
        if not self.vka:
            return "PlainCircuitVerifier", arguments
        return "ReusableCircuitVerifier", (*arguments, vka_digest(tuple(self.vka)))


@dataclass(frozen=True)
class SegmentedSpec:
    """The verifier of a circuit in segments: theirs, in order, and what ties them together.

    ``outputs`` are the places of the commitments that it returns, ``links`` the pairs of places that must
    hold the same point.
    """

    circuit: str
    segments: tuple[VerifierSpec, ...]
    outputs: tuple[Place, ...]
    links: tuple[tuple[Place, Place], ...]

    @property
    def commitment_count(self) -> int:
        """Points that it returns."""
        return len(self.outputs)

    @property
    def proof_bytes(self) -> int:
        """Length of a proof: of all segments' proofs, one after the other."""
        return sum(s.proof_bytes for s in self.segments)

    @property
    def development_srs(self) -> bool:
        """Whether it rests on a development SRS."""
        return any(s.development_srs for s in self.segments)

    @property
    def srs_sha256(self) -> str:
        """Digest of the SRS that all segments share."""
        return self.segments[0].srs_sha256

    @property
    def vka(self) -> tuple[bytes, ...]:
        """Verifying key words of all segments, in order."""
        return tuple(word for s in self.segments for word in s.vka)

    def adapter_arguments(self, adapters: Sequence[str]) -> tuple[str, tuple[object, ...]]:
        """The contract, and what its constructor takes, for the segments' adapters there."""
        words = [len(s.vka) for s in self.segments]
        return "SegmentedCircuitVerifier", (list(adapters), words, list(self.outputs), list(self.links))


@dataclass(frozen=True)
class ShardedSpec:
    """The verifier of an average in shards: that of one ``shard``, and how they are laid out."""

    circuit: str
    shard: VerifierSpec
    shards: Shards

    @property
    def segments(self) -> tuple[VerifierSpec, ...]:
        """The one circuit that is verified, again and again."""
        return (self.shard,)

    @property
    def commitment_count(self) -> int:
        """Points that it returns: remainder and quotient."""
        return 2 * self.shards.columns

    @property
    def proof_bytes(self) -> int:
        """Length of a proof: of all shards' proofs, one after the other."""
        return self.shards.count * self.shard.proof_bytes

    @property
    def development_srs(self) -> bool:
        """Whether it rests on a development SRS."""
        return self.shard.development_srs

    @property
    def srs_sha256(self) -> str:
        """Digest of the SRS."""
        return self.shard.srs_sha256

    @property
    def vka(self) -> tuple[bytes, ...]:
        """Verifying key words of a proof: once, for all shards."""
        return tuple(self.shard.vka)

    @property
    def shape(self) -> tuple[int, ...]:
        """The contract's ``Shape``."""
        s = self.shards
        return s.count, s.vectors, s.points, s.columns, s.digits, s.bits, len(self.vka)

    def adapter_arguments(self, adapters: Sequence[str]) -> tuple[str, tuple[object, ...]]:
        """The contract, and what its constructor takes, for the shard's adapter there."""
        return "ShardedCircuitVerifier", (adapters[0], self.shape, self.shards.offset)


AnyVerifierSpec = VerifierSpec | SegmentedSpec | ShardedSpec
