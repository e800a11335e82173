"""Steps that follow one another, checked without a hub: each starts where the one before it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, sub
from fedproof.errors import CallerError, InvalidProof
from fedproof.provers import Prover
from fedproof.rounds.proof import Proof, check_proof
from fedproof.rounds.vectors import training_spec

#: Pure commitments of the model, and of the optimiser's state if there is one, by name.
Place = Mapping[str, Commitment]


def check_steps(
    circuit: Circuit,
    proofs: Sequence[Proof],
    model: Commitment,
    *,
    state: Commitment | None = None,
    prover: Prover | None = None,
    context: bytes | None = None,
) -> tuple[Commitment, Commitment | None]:
    """Check proofs of consecutive steps from ``model``; return the pure commitments they end at.

    ``model`` and ``state`` are pure commitments; without ``state`` the first step starts from zeros. Returns
    the model after the last step, and the optimiser's state if it has one. Raises :class:`InvalidProof`
    naming the step, and whether its proof, its model or its state is the wrong one.
    """
    if not proofs:
        raise CallerError("no steps to check")
    at = first_place(circuit, model, state)
    for i, proof in enumerate(proofs):
        _, at = follow_step(circuit, proof, at, i, prover=prover, context=context)
    return at["model"], at.get("state")


def first_place(circuit: Circuit, model: Commitment, state: Commitment | None = None) -> Place:
    """Where a chain of steps starts; without ``state`` an optimiser that has one starts from zeros."""
    training_spec(circuit)
    stateful = circuit.manifest.has("state")
    if state is not None and not stateful:
        raise CallerError(f"the optimiser of {circuit.name!r} has no state")
    at = {"model": tuple(model)}
    if stateful:
        zeros = [0] * circuit.manifest.slot("state").length
        at["state"] = tuple(state or circuit.committer.pure(zeros))
    return at


def follow_step(
    circuit: Circuit,
    proof: Proof,
    at: Place,
    index: int,
    *,
    prover: Prover | None = None,
    context: bytes | None = None,
) -> tuple[dict[str, Commitment], Place]:
    """Check the proof of step ``index``, which starts ``at`` a place; return what it commits to, and its end.

    What it commits to is C of each vector, by name, as read from the checked proof. Raises as
    :func:`check_steps`.
    """
    committer = circuit.committer
    names = [s.name for s in circuit.manifest.slots]
    try:
        found = dict(zip(names, check_proof(circuit, proof, prover, context=context), strict=True))
    except InvalidProof as e:
        raise InvalidProof(f"step {index}: {e}") from e
    for name, wanted in at.items():
        if committer.to_pure(found[name]) != wanted:
            before = f"step {index - 1} ended at" if index else "the steps start from"
            raise InvalidProof(f"step {index} is proven at another {name} than {before}")
    end = {"model": sub(at["model"], committer.to_pure(found["step"]))}
    if "state" in at:
        end["state"] = committer.to_pure(found["new_state"])
    return found, end
