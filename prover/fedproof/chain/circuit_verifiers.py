"""From a compiled circuit to the verifier that a deployment needs."""

from __future__ import annotations

from typing import Literal

from fedproof.chain.artefacts import MAX_RUNTIME_BYTES
from fedproof.chain.deployment import VerifierRecord
from fedproof.chain.solidity import compile_verifier
from fedproof.chain.verifier_specs import AnyVerifierSpec, Place, SegmentedSpec, ShardedSpec, VerifierSpec
from fedproof.chain.vka import read_vka
from fedproof.circuits import layout
from fedproof.circuits.manifest import Manifest
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import LATE
from fedproof.errors import TerminalError
from fedproof.lowering import shared
from fedproof.lowering.segments import is_named

Kind = Literal["auto", "plain", "reusable"]


def _points(manifest: Manifest) -> tuple[int, int]:
    """How many points an adapter returns, and how many of them the challenge follows from, 0 for none.

    All are returned where there is a challenge: what is returned is checked to be a canonical point.
    """
    known = sum(slot.columns for slot in manifest.slots if is_named(slot.name))
    if not manifest.challenge_points:
        return known, 0
    early = sum(slot.columns for slot in manifest.slots[:-1])
    if manifest.challenge_points != early:
        raise TerminalError(
            f"the challenge of circuit {manifest.name} is a hash of {manifest.challenge_points} commitments; "
            f"it must be of all {early} before the late vector"
        )
    return early + manifest.slots[-1].columns, early


def verifier_spec(circuit: Circuit, kind: Kind = "auto") -> AnyVerifierSpec:
    """The verifier of ``circuit`` to deploy; in segments or shards theirs, and what ties them together.

    ``auto`` takes the plain verifier if it fits into a contract and the reusable one otherwise. Raises
    CallerError when the circuit's files are missing, TerminalError when its verifier does not compile or
    its challenge leaves out a vector that it checks.
    """
    if circuit.manifest.shards:
        return ShardedSpec(circuit.name, _of_one(circuit.parts[0], kind), circuit.manifest.shards)
    if not circuit.manifest.segments:
        return _of_one(circuit, kind)
    return SegmentedSpec(
        circuit.name,
        tuple(_of_one(part, kind) for part in circuit.parts),
        *segment_places(circuit.manifest),
    )


def segment_places(manifest: Manifest) -> tuple[tuple[Place, ...], tuple[tuple[Place, Place], ...]]:
    """Where the commitments stand that a hub is told, and which of them must be equal, point by point.

    Raises TerminalError where a vector that the hub compares is in no segment.
    """
    slots = [[s for s in entry.slots if s.name != LATE] for entry in manifest.segments]
    places: dict[str, list[list[Place]]] = {}
    for number, own in enumerate(slots):
        start = 0
        for slot in own:
            points = [(number, start + i) for i in range(slot.columns)]
            places.setdefault(slot.name, []).append(points)
            start += slot.columns
    told = [slot.name for slot in manifest.slots if is_named(slot.name)]
    if missing := [name for name in told if name not in places]:
        raise TerminalError(f"no segment of circuit {manifest.name} commits to {', '.join(missing)}")
    links = [
        (first, second)
        for name in shared([[s.name for s in own] for own in slots])
        for others in places[name][1:]
        for first, second in zip(places[name][0], others, strict=True)
    ]
    return tuple(point for name in told for point in places[name][0]), tuple(links)


def _of_one(circuit: Circuit, kind: Kind) -> VerifierSpec:
    manifest, folder = circuit.manifest, circuit.folder
    returned, hashed = _points(manifest)
    plain = folder / layout.PLAIN_VERIFIER
    fits = kind == "plain" or (kind == "auto" and len(compile_verifier(plain).runtime) <= MAX_RUNTIME_BYTES)
    return VerifierSpec(
        circuit=circuit.name,
        source=plain if fits else folder / layout.REUSABLE_VERIFIER,
        instances=manifest.instances,
        commitment_count=returned,
        challenge_points=hashed,
        proof_bytes=manifest.costs.proof_bytes,
        development_srs=manifest.development,
        srs_sha256=manifest.srs_digest,
        vka=() if fits else read_vka(folder / layout.VKA),
    )


def submission_vka(circuit: Circuit, spec_kind: Literal["plain", "reusable"]) -> tuple[bytes, ...]:
    """The key words to send with a proof of ``circuit``: none for a plain verifier."""
    return read_vka(circuit.folder / layout.VKA) if spec_kind == "reusable" else ()


def verifying_key(circuit: Circuit, record: VerifierRecord) -> tuple[bytes, ...]:
    """The key words to send with a proof of ``circuit`` to the verifier that was deployed."""
    if record.kind == "sharded":
        return verifying_key(circuit.parts[0], record.segments[0])
    if record.kind != "segmented":
        return submission_vka(circuit, record.kind)
    pairs = zip(circuit.parts, record.segments, strict=True)
    return tuple(word for part, own in pairs for word in verifying_key(part, own))
