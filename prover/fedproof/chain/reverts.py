"""What a contract said when it refused: revert data decoded to an error's name and arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from fedproof.errors import InvalidProof, TerminalError

_PANICS = {
    0x01: "assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "value out of an enum's range",
    0x22: "corrupt storage",
    0x31: "pop from an empty array",
    0x32: "index out of bounds",
    0x41: "out of memory",
    0x51: "call of an empty function",
}


class ContractRejected(TerminalError):
    """A contract reverted: error ``name`` with arguments ``args_``; ``data`` is what it returned.

    ``gas`` was used for nothing: 0 where it was refused before it was sent.
    """

    gas: int = 0

    def __init__(self, name: str, args_: Mapping[str, Any], *, data: bytes = b"", during: str = "") -> None:
        self.name = name
        self.args_ = dict(args_)
        self.data = data
        self.during = during
        told = ", ".join(f"{key}={_shown(value)}" for key, value in self.args_.items())
        super().__init__(f"{during or 'the contract'} was rejected: {name}({told})")


class ClaimRejected(ContractRejected, InvalidProof):
    """A contract reverted because a proof, commitment, hash, path or signature did not check out."""

    exit_code = InvalidProof.exit_code


_CLAIMS = frozenset(
    {
        "BatchAlreadyUsed",
        "BatchNotInDataset",
        "CommitDigestMismatch",
        "ECDSAInvalidSignature",
        "ECDSAInvalidSignatureLength",
        "ECDSAInvalidSignatureS",
        "LinkMismatch",
        "MalformedPayload",
        "ModelCommitmentMismatch",
        "NotAGuardian",
        "NotOnCurve",
        "OnlyPeer",
        "ProofRejected",
        "RemainderMismatch",
        "SegmentRejected",
        "SignersNotAscending",
        "StepAlreadyUsed",
        "TooFewBytesForPoints",
        "TooFewSignatures",
        "UnpinnedVerifyingKey",
        "WrongHub",
        "WrongProofLength",
        "WrongSourceChain",
    }
)
"""Errors that say that something claimed did not check out; the others say that a call was out of place."""


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        if len(value) == 32 and len(text) < 32 and text.isascii() and text.decode().isidentifier():
            return text.decode()  # a short name in a word, as InvalidModelConfig has
        return "0x" + value.hex()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value)


@dataclass(frozen=True)
class _Signature:
    name: str
    types: tuple[str, ...]
    arguments: tuple[str, ...]


def _canonical(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if kind.startswith("tuple"):
        return "(" + ",".join(_canonical(part) for part in item["components"]) + ")" + kind[5:]
    return kind


@dataclass
class ErrorBook:
    """The custom errors of many ABIs by selector."""

    _by_selector: dict[bytes, _Signature] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._add("Error", ("string",), ("message",))
        self._add("Panic", ("uint256",), ("code",))

    def _add(self, name: str, types: tuple[str, ...], arguments: tuple[str, ...]) -> None:
        selector = keccak(text=f"{name}({','.join(types)})")[:4]
        self._by_selector.setdefault(selector, _Signature(name, types, arguments))

    def learn(self, abi: Iterable[Mapping[str, Any]]) -> None:
        """Add every custom error of ``abi``."""
        for item in abi:
            if item.get("type") == "error":
                inputs = item["inputs"]
                names = tuple(part["name"] or f"arg{index}" for index, part in enumerate(inputs))
                self._add(item["name"], tuple(_canonical(part) for part in inputs), names)

    def decode(self, data: bytes) -> tuple[str, dict[str, Any]]:
        """Name and arguments of the error in revert ``data``; an unknown selector is its own name."""
        if not data:
            return "RevertWithoutReason", {}
        signature = self._by_selector.get(data[:4])
        if signature is None:
            return f"UnknownError_{data[:4].hex()}", {"data": data[4:]}
        try:
            values = decode(signature.types, data[4:])
        except (DecodingError, ValueError, OverflowError):
            return signature.name, {"undecodable": data[4:]}
        arguments = dict(zip(signature.arguments, values, strict=True))
        if signature.name == "Panic":
            arguments["meaning"] = _PANICS.get(arguments["code"], "unknown panic")
        return signature.name, arguments

    def rejection(self, data: bytes, during: str = "") -> ContractRejected:
        """The exception that tells of revert ``data`` while ``during`` was attempted."""
        name, arguments = self.decode(data)
        kind = ClaimRejected if name in _CLAIMS else ContractRejected
        return kind(name, arguments, data=data, during=during)
