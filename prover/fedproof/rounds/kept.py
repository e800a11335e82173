"""Proofs that are kept as they are made: what lies there is taken if it is the right one, else made again."""

from __future__ import annotations

from pathlib import Path

from fedproof.circuits.witness import LATE
from fedproof.errors import FedproofError
from fedproof.provers import Prover
from fedproof.rounds.prepared import Prepared, prove_part
from fedproof.rounds.proof import Proof
from fedproof.rounds.threads import of_use, proving_threads


def prove_kept(prepared: Prepared, folder: Path, name: str, prover: Prover | None, context: bytes) -> Proof:
    """Prove what was computed for ``context``, in segments, each kept in ``folder`` as it is made.

    ``name`` is that of the files, without their ending. Raises :class:`ProverKilled` (retryable) if the
    prover died; the segments that are proven are then not proven again.
    """
    parts = prepared.circuit.parts

    def prove(i: int) -> Proof:
        file = f"{name}.proof.json" if len(parts) == 1 else f"{name}.segment{i}.proof.json"
        return _part(prepared, i, folder / file, prover, context)

    at_once = of_use(prover, len(parts))
    if at_once == 1:
        # Not in a thread: an interrupt ends the worker as well.
        return Proof.joined(prepared.circuit, [prove(i) for i in range(len(parts))])
    for part in parts:
        _ = part.program  # made once, before threads want it
    with proving_threads(at_once) as threads:
        return Proof.joined(prepared.circuit, list(threads.map(prove, range(len(parts)))))


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
