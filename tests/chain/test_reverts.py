"""Revert data decoded to names and arguments."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedproof.chain.reverts import ClaimRejected, ContractRejected, ErrorBook
from fedproof.errors import InvalidProof, TerminalError

pytestmark = pytest.mark.reference

ABI = [
    {
        "type": "error",
        "name": "ModelCommitmentMismatch",
        "inputs": [
            {"name": "step", "type": "uint256"},
            {
                "name": "expected",
                "type": "tuple",
                "components": [{"name": "x", "type": "uint256"}, {"name": "y", "type": "uint256"}],
            },
        ],
    },
    {"type": "error", "name": "InvalidModelConfig", "inputs": [{"name": "field", "type": "bytes32"}]},
    {"type": "function", "name": "ignored", "inputs": []},
]


@pytest.fixture
def book() -> ErrorBook:
    book = ErrorBook()
    book.learn(ABI)
    return book


def revert(signature: str, types: list[str], values: list[object]) -> bytes:
    return keccak(text=signature)[:4] + encode(types, values)


def test_a_refused_claim_is_an_invalid_proof(book):
    data = revert(
        "ModelCommitmentMismatch(uint256,(uint256,uint256))", ["uint256", "(uint256,uint256)"], [2, (5, 6)]
    )
    refusal = book.rejection(data, "submit")
    assert isinstance(refusal, ClaimRejected)
    assert isinstance(refusal, InvalidProof)
    assert refusal.exit_code == InvalidProof.exit_code
    assert refusal.name == "ModelCommitmentMismatch"
    assert refusal.args_ == {"step": 2, "expected": (5, 6)}
    assert str(refusal) == "submit was rejected: ModelCommitmentMismatch(step=2, expected=[5, 6])"


def test_any_other_refusal_is_terminal(book):
    data = revert("InvalidModelConfig(bytes32)", ["bytes32"], [b"tail".ljust(32, b"\0")])
    refusal = book.rejection(data)
    assert type(refusal) is ContractRejected
    assert refusal.exit_code == TerminalError.exit_code
    assert str(refusal) == "the contract was rejected: InvalidModelConfig(field=tail)"


def test_the_compilers_own_errors(book):
    assert book.decode(revert("Error(string)", ["string"], ["no"])) == ("Error", {"message": "no"})
    name, arguments = book.decode(revert("Panic(uint256)", ["uint256"], [0x11]))
    assert (name, arguments["meaning"]) == ("Panic", "arithmetic overflow")


@pytest.mark.parametrize(
    "data", [b"", b"\1\2", b"\1\2\3\4rest", keccak(text="Error(string)")[:4] + b"\xff" * 40]
)
def test_what_cannot_be_decoded_is_still_told(book, data):
    refusal = book.rejection(data, "call")
    assert refusal.data == data
    assert "call was rejected: " in str(refusal)
