"""From a compiled circuit to the verifier that a deployment needs."""

from __future__ import annotations

from typing import Literal

from fedproof.chain.artefacts import MAX_RUNTIME_BYTES
from fedproof.chain.deploy import VerifierSpec
from fedproof.chain.solidity import compile_verifier
from fedproof.chain.vka import read_vka
from fedproof.circuits import layout
from fedproof.circuits.manifest import Manifest
from fedproof.circuits.store import Circuit
from fedproof.errors import TerminalError

Kind = Literal["auto", "plain", "reusable"]

_IGNORED_SLOT = "advice"  # committed after everything the hub compares, and of no meaning to it


def _points(manifest: Manifest) -> tuple[int, int]:
    """How many points an adapter returns, and how many of them the challenge follows from, 0 for none.

    All are returned where there is a challenge: what is returned is checked to be a canonical point.
    """
    known = sum(slot.columns for slot in manifest.slots if slot.name != _IGNORED_SLOT)
    if not manifest.challenge_points:
        return known, 0
    early = sum(slot.columns for slot in manifest.slots[:-1])
    if manifest.challenge_points != early:
        raise TerminalError(
            f"the challenge of circuit {manifest.name} is a hash of {manifest.challenge_points} commitments; "
            f"it must be of all {early} before the late vector"
        )
    return early + manifest.slots[-1].columns, early


def verifier_spec(circuit: Circuit, kind: Kind = "auto") -> VerifierSpec:
    """The verifier of ``circuit`` to deploy.

    ``auto`` takes the plain verifier if it fits into a contract and the reusable one otherwise. Raises
    CallerError when the circuit's files are missing, TerminalError when its verifier does not compile or
    its challenge leaves out a vector that it checks.
    """
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
