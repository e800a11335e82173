"""Real proofs, and the witnesses behind them, begin with our commitments."""

from __future__ import annotations

import numpy as np
import pytest
from commitments_circuit import TABLE, USABLE, K, lookup_circuit

from fedproof.commitments import Point, read_commitments

pytestmark = pytest.mark.prove


@pytest.mark.parametrize(
    ("lengths", "inner"),
    [([100, 50], 1), ([100, 50], 3), ([USABLE], 12), ([2 * USABLE, 5], 12)],
    ids=["one column each", "three inner columns", "exactly full", "three columns and one"],
)
def test_a_real_proof_starts_with_our_commitments(lengths, inner, ezkl_committer, srs, tmp_path):
    rng = np.random.default_rng(6)
    circuit = lookup_circuit(tmp_path, srs.path, K, lengths, inner)
    ezkl_committer.check_circuit(circuit.key, circuit.settings)
    vectors = [rng.integers(0, TABLE + 1, length) for length in lengths]
    ours = [ezkl_committer.full(vector) for vector in vectors]
    witness = circuit.witness(vectors)
    assert [tuple(map(Point.from_compressed, points)) for points in witness] == ours
    assert [[p.to_compressed().hex() for p in points] for points in ours] == witness
    proof = circuit.prove()
    assert read_commitments(proof, [ezkl_committer.columns(length) for length in lengths]) == ours
    assert proof.startswith(b"".join(p.to_bytes() for points in ours for p in points))
