"""The check of an average that a hub makes at ``finalize``, without one."""

from __future__ import annotations

from collections.abc import Sequence

from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, add, mul, sub, weighted_sum
from fedproof.errors import CallerError, InvalidProof
from fedproof.provers import Prover
from fedproof.rounds.proof import Proof, check_proof


def check_average(
    circuit: Circuit,
    proof: Proof,
    updates: Sequence[Commitment],
    weights: Sequence[int],
    *,
    prover: Prover | None = None,
) -> Commitment:
    """Check that a proof is of the average of exactly these updates; return the pure commitment of Δ.

    ``updates`` are pure commitments, ``weights`` sum to 2^t. With the proof's range checks, P(ρ + 1) =
    P(S) + (2^(t-1) + 1) P(1) - 2^t P(Δ) says that Δ is S / 2^t rounded half up, element by element. Raises
    :class:`InvalidProof` if the proof does not hold or is of another average.
    """
    spec = circuit.manifest.spec
    if not isinstance(spec, AverageSpec):
        raise CallerError(f"{circuit.name!r} is not a circuit of kind 'average'")
    bits = spec.table
    if len(updates) != len(weights) or min(weights, default=-1) < 0 or sum(weights) != 2**bits:
        raise CallerError(f"{len(updates)} updates and weights {list(weights)}, which must sum to {2**bits}")
    committer, shards = circuit.committer, circuit.manifest.shards
    names = [s.name for s in circuit.manifest.slots]
    found = dict(zip(names, check_proof(circuit, proof, prover), strict=True))
    delta = committer.to_pure(found["delta"])
    # Of an average in shards the rows behind the vector are rounded and checked as well.
    ones = shards.ones(committer) if shards else committer.ones(circuit.manifest.slot("delta").length)
    summed = add(weighted_sum(updates, weights), mul(ones, 2 ** (bits - 1) + 1))
    if committer.to_pure(found["remainder"]) != sub(summed, mul(delta, 2**bits)):
        raise InvalidProof("the proof is of another average than that of these updates with these weights")
    return delta
