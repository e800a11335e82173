"""Which verifier of a compiled circuit is deployed, and with what."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fedproof.chain.circuit_verifiers import submission_vka, verifier_spec
from fedproof.errors import TerminalError

pytestmark = pytest.mark.evm

SMALL = "pragma solidity ^0.8.0; contract Halo2Verifier { function verifyProof() external {} }"
FILLING = "ab" * 24_600
LARGE = (
    f'pragma solidity ^0.8.0; contract Halo2Verifier {{ bytes constant public filling = hex"{FILLING}"; }}'
)
REUSABLE = "pragma solidity ^0.8.0; contract Halo2VerifierReusable { function registerVka() external {} }"


def a_circuit(folder, plain: str, *, late: int = 0, challenge_points: int = 0) -> SimpleNamespace:
    (folder / "verifier.sol").write_text(plain)
    (folder / "verifier_reusable.sol").write_text(REUSABLE)
    (folder / "vka.bin").write_bytes((2).to_bytes(8, "little") + bytes(64))
    slots = [
        SimpleNamespace(name=name, columns=columns)
        for name, columns in [("model", 2), ("batch", 1), ("step", 2), ("advice", 4), ("late", late)]
        if columns
    ]
    manifest = SimpleNamespace(
        name="digits",
        slots=slots,
        challenge_points=challenge_points,
        segments=(),
        shards=None,
        instances=(17,),
        costs=SimpleNamespace(proof_bytes=2048),
        development=True,
        srs_digest="cd" * 32,
    )
    return SimpleNamespace(name="digits", folder=folder, manifest=manifest)


def test_a_verifier_that_fits_is_plain(tmp_path):
    spec = verifier_spec(a_circuit(tmp_path, SMALL))
    assert spec.source == tmp_path / "verifier.sol"
    assert (spec.vka, spec.instances, spec.proof_bytes) == ((), (17,), 2048)
    assert (spec.commitment_count, spec.challenge_points) == (5, 0)
    assert (spec.circuit, spec.development_srs, spec.srs_sha256) == ("digits", True, "cd" * 32)


def test_one_that_is_too_large_is_reusable(tmp_path):
    circuit = a_circuit(tmp_path, LARGE)
    spec = verifier_spec(circuit)
    assert spec.source == tmp_path / "verifier_reusable.sol"
    assert spec.vka == (bytes(32),) * 2
    assert submission_vka(circuit, "reusable") == spec.vka
    assert submission_vka(circuit, "plain") == ()


def test_the_kind_can_be_chosen(tmp_path):
    assert verifier_spec(a_circuit(tmp_path, SMALL), "reusable").vka
    assert not verifier_spec(a_circuit(tmp_path, LARGE), "plain").vka


def test_a_challenge_is_over_all_vectors_but_the_late_one(tmp_path):
    spec = verifier_spec(a_circuit(tmp_path, SMALL, late=1, challenge_points=9))
    assert (spec.commitment_count, spec.challenge_points) == (10, 9)
    assert spec.adapter_arguments("0x01")[1] == ("0x01", [17], 10, 9, 2048)


@pytest.mark.parametrize("points", [1, 5, 8, 10])
def test_a_challenge_that_leaves_a_vector_out_or_takes_the_late_one_in_is_refused(tmp_path, points):
    with pytest.raises(TerminalError, match=f"of {points} commitments; it must be of all 9"):
        verifier_spec(a_circuit(tmp_path, SMALL, late=1, challenge_points=points))
