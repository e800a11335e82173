"""Proofs that are kept as they are made: what lies there is taken if it is the right one, else made again."""

from __future__ import annotations

from pathlib import Path

from fedproof.circuits.witness import LATE
from fedproof.errors import FedproofError
from fedproof.provers import Prover
from fedproof.rounds.prepared import Prepared, prove_part
from fedproof.rounds.proof import Proof


def prove_kept(prepared: Prepared, folder: Path, name: str, prover: Prover | None, context: bytes) -> Proof:
    """Prove what was computed for ``context``, segment by segment, each kept in ``folder`` as it is made.

    ``name`` is that of the files, without their ending. Raises :class:`ProverKilled` (retryable) if the
    prover died; the segments that are proven are then not proven again.
    """
    parts = prepared.circuit.parts
    found = []
    for i in range(len(parts)):
        file = f"{name}.proof.json" if len(parts) == 1 else f"{name}.segment{i}.proof.json"
        found.append(_part(prepared, i, folder / file, prover, context))
    return Proof.joined(prepared.circuit, found)


def _part(prepared: Prepared, index: int, path: Path, prover: Prover | None, context: bytes) -> Proof:
    part = prepared.circuit.parts[index]
    try:
        proof = Proof.load(path)
        found = dict(zip(proof.vectors, proof.commitments, strict=False))
        current = (
            proof.key == part.manifest.key
            and proof.context == context.hex()
            and all(
                found.get(s.name) == prepared.commitment(s.name)
                for s in part.manifest.slots
                if s.name != LATE
            )
        )
    except FedproofError:
        current = False
    if not current:
        proof = prove_part(prepared, index, prover, context)
        proof.save(path)
    return proof
