"""docs/protocol.md says what the code says, where that can be compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedproof.chain.digests import PAYLOAD_VERSION
from fedproof.chain.hub import Phase
from fedproof.chain.registry import RecordStatus
from fedproof.commitments import POINT_BYTES, RESERVED_ROWS
from fedproof.lowering.programs import SALT_BITS

pytestmark = pytest.mark.reference

ROOT = Path(__file__).resolve().parents[2]
TEXT = " ".join((ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").split())
SOURCES = ROOT / "verifier_contracts" / "src"


def test_what_guardians_sign() -> None:
    source = (SOURCES / "hub" / "HubGuardians.sol").read_text()
    kinds = re.findall(r'keccak256\("([A-Za-z]+\([^"]+\))"\)', source)
    assert len(kinds) == 2
    assert all(f"`{kind}`" in TEXT for kind in kinds)
    assert 'EIP712("Fedproof", "1")' in source
    assert "(`Fedproof`, `1`, chain id, hub)" in TEXT


def test_phases_and_states() -> None:
    for phase in Phase:
        if phase is not Phase.NONE:
            assert phase.name.title().replace("_B", "B") in TEXT, phase
    for status in RecordStatus:
        assert f"| {status.name.title()} |" in TEXT, status


def test_hashes_are_of_what_the_contracts_encode() -> None:
    interface = " ".join((SOURCES / "hub" / "IFedproofHub.sol").read_text().replace("///", "").split())
    for encoded in (
        "keccak256(bytes.concat(keccak256(abi.encode(Point[] P(batch)))))",
        "abi.encode(bytes32 modelId, uint64 round, address trainer, bytes32 nonce, Point[] points)",
    ):
        assert encoded in TEXT
        assert encoded in interface
    assert "keccak256(abi.encode(bytes32 modelId, uint64 round, Point[] P(M′)))" in TEXT
    assert "abi.encode(bytes32 modelId, uint64 round, Point[] P(M'))" in interface


def test_challenge_and_context_are_of_what_the_contracts_encode() -> None:
    hub = " ".join((SOURCES / "hub" / "IFedproofHub.sol").read_text().replace("///", "").split())
    verifier = " ".join(
        (SOURCES / "verifiers" / "ICircuitVerifier.sol").read_text().replace("///", "").split()
    )
    for encoded, source in (
        ("keccak256(abi.encode(bytes32 modelId, uint64 round, address trainer))", hub),
        ("uint256(keccak256(abi.encode(bytes32 context, Point[] points)))", verifier),
    ):
        assert encoded in TEXT
        assert encoded in source


def test_the_payload() -> None:
    payload = " ".join((SOURCES / "relay" / "ModelPayload.sol").read_text().replace("///", "").split())
    (fields,) = re.findall(r"abi\.encode\(uint8 version, ([^)]*)\)", payload)
    assert f"abi.encode(uint8 version = {PAYLOAD_VERSION}, {fields})" in TEXT


def test_numbers() -> None:
    assert POINT_BYTES == 64
    assert "a point is 64 bytes" in TEXT
    assert RESERVED_ROWS == 6
    assert "columns of 2^k − 6 elements" in TEXT
    assert f"S = ⌈{SALT_BITS} / s⌉" in TEXT
