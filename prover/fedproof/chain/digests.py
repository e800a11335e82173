"""The hashes and messages that the contracts compute too, byte for byte.

A vector is a sequence of points (x, y), one for each column; (0, 0) is the point at infinity. Hashes are 32
raw bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from fedproof.errors import CallerError, InvalidProof

Points = Sequence[tuple[int, int]]

PAYLOAD_VERSION = 1
_POINTS = "(uint256,uint256)[]"
_PAYLOAD = ["uint8", "uint256", "address", "bytes32", "uint64", "bytes32"]
_NOBODY = "0x" + "00" * 20
_DOMAIN_NAME = "Fedproof"
_DOMAIN_VERSION = "1"


def _plain(points: Points) -> list[tuple[int, int]]:
    return [(x, y) for x, y in points]


def points_hash(points: Points) -> bytes:
    """keccak256(abi.encode(Point[])): how the hub names a commitment."""
    return keccak(encode([_POINTS], [_plain(points)]))


def batch_leaf(batch: Points) -> bytes:
    """Merkle leaf of a batch with the pure commitment ``batch``."""
    return keccak(points_hash(batch))


def commit_digest(model_id: bytes, round_number: int, trainer: str, nonce: bytes, points: Points) -> bytes:
    """What a trainer commits to before it reveals.

    ``points`` lists for each step, in order, the batch points and then the step points as they stand in the
    proof (C, not P). ``nonce`` is 32 random bytes, kept secret until submission.
    """
    types = ["bytes32", "uint64", "address", "bytes32", _POINTS]
    return keccak(encode(types, [model_id, round_number, trainer, nonce, _plain(points)]))


def step_context(model_id: bytes, round_number: int, trainer: str) -> bytes:
    """What a step must be proven for, in a circuit with a challenge: its model, its round and its trainer."""
    return keccak(encode(["bytes32", "uint64", "address"], [model_id, round_number, trainer]))


def finalize_context(model_id: bytes, round_number: int) -> bytes:
    """What an average must be proven for, in a circuit with a challenge: anybody may finalize with it."""
    return step_context(model_id, round_number, _NOBODY)


def model_hash(model_id: bytes, round_number: int, model: Points) -> bytes:
    """The canonical hash of the model that a round produced; ``model`` is its pure commitment."""
    return keccak(encode(["bytes32", "uint64", _POINTS], [model_id, round_number, _plain(model)]))


@dataclass(frozen=True)
class RelayMessage:
    """What every route carries to the L1."""

    source_chain_id: int
    hub: str
    model_id: bytes
    round_number: int
    model_hash: bytes

    def encode(self) -> bytes:
        """The payload: six words."""
        values = [
            PAYLOAD_VERSION,
            self.source_chain_id,
            self.hub,
            self.model_id,
            self.round_number,
            self.model_hash,
        ]
        return encode(_PAYLOAD, values)

    @classmethod
    def decode(cls, payload: bytes) -> RelayMessage:
        """The message in ``payload``. Raises InvalidProof when it is not six words of the known version."""
        try:
            version, chain, hub, model_id, number, found = decode(_PAYLOAD, payload)
        except (DecodingError, ValueError) as error:
            raise InvalidProof(f"not a relay payload: {error}") from error
        if version != PAYLOAD_VERSION or len(payload) != 32 * len(_PAYLOAD):
            raise InvalidProof(f"relay payload of version {version} and {len(payload)} bytes is not known")
        return cls(chain, to_checksum_address(hub), model_id, number, found)


@dataclass(frozen=True)
class GuardianDomain:
    """The EIP-712 domain of one hub: signatures for it are worthless to any other."""

    chain_id: int
    hub: str

    def leave_out(self, model_id: bytes, round_number: int, trainer: str, reason: str) -> SignableMessage:
        """What guardians sign to leave ``trainer``'s submission out of a round."""
        fields = [("modelId", "bytes32"), ("round", "uint64"), ("trainer", "address"), ("reason", "string")]
        values = {"modelId": model_id, "round": round_number, "trainer": trainer, "reason": reason}
        return self._message("LeaveOut", fields, values)

    def roll_back(self, model_id: bytes, round_number: int) -> SignableMessage:
        """What guardians sign to undo the newest finalized round."""
        fields = [("modelId", "bytes32"), ("round", "uint64")]
        return self._message("RollBack", fields, {"modelId": model_id, "round": round_number})

    def _message(self, kind: str, fields: list[tuple[str, str]], values: dict[str, Any]) -> SignableMessage:
        domain = {
            "name": _DOMAIN_NAME,
            "version": _DOMAIN_VERSION,
            "chainId": self.chain_id,
            "verifyingContract": self.hub,
        }
        types = {kind: [{"name": name, "type": type_} for name, type_ in fields]}
        return encode_typed_data(domain_data=domain, message_types=types, message_data=values)


def typed_digest(message: SignableMessage) -> bytes:
    """The 32 bytes that an EIP-712 signature signs."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def guardian_signatures(message: SignableMessage, guardians: Sequence[LocalAccount]) -> list[bytes]:
    """65-byte signatures of ``guardians``, ascending by signer as the hub wants them.

    Raises CallerError when a guardian is given twice.
    """
    if len({account.address for account in guardians}) != len(guardians):
        raise CallerError("a guardian is given twice; each signature counts once")
    ordered = sorted(guardians, key=lambda account: int(account.address, 16))
    return [bytes(account.sign_message(message).signature) for account in ordered]
