"""Steps that follow one another, checked without a hub: each starts where the one before it ended."""

from __future__ import annotations

from collections.abc import Sequence

from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, sub
from fedproof.errors import CallerError, InvalidProof
from fedproof.provers import Prover
from fedproof.rounds.proof import Proof, check_proof
from fedproof.rounds.vectors import training_spec


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
    training_spec(circuit)
    if not proofs:
        raise CallerError("no steps to check")
    stateful = circuit.manifest.has("state")
    if state is not None and not stateful:
        raise CallerError(f"the optimiser of {circuit.name!r} has no state")
    committer = circuit.committer
    at = {"model": tuple(model)}
    if stateful:
        at["state"] = tuple(state or committer.pure([0] * circuit.manifest.slot("state").length))
    names = [s.name for s in circuit.manifest.slots]
    for i, proof in enumerate(proofs):
        try:
            found = dict(zip(names, check_proof(circuit, proof, prover, context=context), strict=True))
        except InvalidProof as e:
            raise InvalidProof(f"step {i}: {e}") from e
        for name, wanted in at.items():
            if committer.to_pure(found[name]) != wanted:
                before = f"step {i - 1} ended at" if i else "the steps start from"
                raise InvalidProof(f"step {i} is proven at another {name} than {before}")
        at["model"] = sub(at["model"], committer.to_pure(found["step"]))
        if stateful:
            at["state"] = committer.to_pure(found["new_state"])
    return at["model"], at.get("state")
