"""Checks of what a model is said to answer: by whoever is told the answer, or the count of right ones.

Commitments handed in are pure, as a hub stores them and :meth:`Committer.pure` makes them.
"""

from __future__ import annotations

import numpy as np

from fedproof.circuits import EvaluationSpec, InferenceSpec
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment
from fedproof.errors import InvalidProof
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.rounds.answers import Answer
from fedproof.rounds.proof import Proof, check_proof
from fedproof.rounds.samples import demand_kind


def check_inference(
    circuit: Circuit,
    proof: Proof,
    found: Answer | IntArray,
    *,
    model: Commitment,
    batch: Commitment | None = None,
    prover: Prover | None = None,
    context: bytes | None = None,
) -> None:
    """Check that the model of a pure commitment gives this answer, on ``batch`` or some committed batch.

    Raises :class:`InvalidProof` saying whether the proof, the model, the batch or the answer is another.
    """
    demand_kind(circuit, InferenceSpec)
    values = found.integers if isinstance(found, Answer) else found
    proven = _proven(circuit, proof, prover, context)
    _demand_vectors(circuit, proven, {"model": model} | ({} if batch is None else {"batch": batch}))
    _demand_opening(circuit, proven, "answer", np.asarray(values).ravel().tolist())


def check_evaluation(
    circuit: Circuit,
    proof: Proof,
    right: int,
    *,
    model: Commitment,
    batch: Commitment,
    prover: Prover | None = None,
    context: bytes | None = None,
) -> None:
    """Check that the model of a pure commitment is right ``right`` times on the committed, labelled batch.

    Raises :class:`InvalidProof` saying whether the proof, the model, the batch or the count is another.
    """
    demand_kind(circuit, EvaluationSpec)
    proven = _proven(circuit, proof, prover, context)
    _demand_vectors(circuit, proven, {"model": model, "batch": batch})
    _demand_opening(circuit, proven, "count", [int(right)])


def read_count(circuit: Circuit, commitments: list[Commitment]) -> int:
    """Return the count that the commitments of a checked proof hold: it is one of few.

    Raises :class:`InvalidProof` if it is none from 0 to the size of the batch.
    """
    spec = demand_kind(circuit, EvaluationSpec)
    committed = dict(zip([s.name for s in circuit.manifest.slots], commitments, strict=True))["count"]
    for value in range(spec.batch + 1):
        if circuit.committer.full([value]) == committed:
            return value
    raise InvalidProof(f"the committed count is none from 0 to {spec.batch}")


def _proven(
    circuit: Circuit, proof: Proof, prover: Prover | None, context: bytes | None
) -> dict[str, Commitment]:
    commitments = check_proof(circuit, proof, prover, context=context)
    return dict(zip([s.name for s in circuit.manifest.slots], commitments, strict=True))


def _demand_vectors(circuit: Circuit, proven: dict[str, Commitment], wanted: dict[str, Commitment]) -> None:
    for name, pure in wanted.items():
        if circuit.committer.to_pure(proven[name]) != tuple(pure):
            raise InvalidProof(f"the proof is of another {name} than the committed one")


def _demand_opening(circuit: Circuit, proven: dict[str, Commitment], name: str, values: list[int]) -> None:
    # Zeros at the end leave a commitment as it is: the length is part of the claim.
    length = circuit.manifest.slot(name).length
    if len(values) != length:
        raise InvalidProof(f"the {name} has {len(values)} elements, that of {circuit.name} has {length}")
    if circuit.committer.full(values) != proven[name]:
        shown = f"{name} {values[0]}" if length == 1 else name
        raise InvalidProof(f"the proof is of another {name} than the claimed {shown}")
