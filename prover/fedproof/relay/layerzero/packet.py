"""LayerZero packets (PacketV1) and executor options (type 3), byte by byte.

A packet is version (1 byte), nonce (8), source eid (4), sender (32), destination eid (4), receiver (32), guid
(32) and the message. The first 81 bytes are the header; the guid and the message are the payload.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from fedproof.errors import CallerError

HEADER_BYTES = 81
_VERSION = 1
_OPTIONS_TYPE = 3
_EXECUTOR = 1
_LZ_RECEIVE = 1


def address_word(address: str) -> bytes:
    """``address`` as the 32-byte word that LayerZero uses for it."""
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def word_address(word: bytes) -> str:
    """The address in a 32-byte word. Raises CallerError when the word is more than an address."""
    if len(word) != 32 or any(word[:12]):
        raise CallerError(f"not an EVM address: 0x{word.hex()}")
    return to_checksum_address(word[12:])


@dataclass(frozen=True)
class Packet:
    """One message on its way. ``sender`` and ``receiver`` are addresses, ``guid`` is its 32-byte identity."""

    nonce: int
    source_eid: int
    sender: str
    destination_eid: int
    receiver: str
    guid: bytes
    message: bytes

    @classmethod
    def decode(cls, encoded: bytes) -> Packet:
        """The packet in ``encoded``.

        Raises CallerError when it is too short, of another version, or its guid is not the one of its path.
        """
        if len(encoded) < HEADER_BYTES + 32:
            raise CallerError(f"a packet has at least {HEADER_BYTES + 32} bytes, got {len(encoded)}")
        if encoded[0] != _VERSION:
            raise CallerError(f"packet version {encoded[0]} is not known; {_VERSION} is")
        packet = cls(
            nonce=int.from_bytes(encoded[1:9], "big"),
            source_eid=int.from_bytes(encoded[9:13], "big"),
            sender=word_address(encoded[13:45]),
            destination_eid=int.from_bytes(encoded[45:49], "big"),
            receiver=word_address(encoded[49:81]),
            guid=encoded[81:113],
            message=encoded[113:],
        )
        if packet.guid != packet.path_guid():
            raise CallerError(f"packet guid 0x{packet.guid.hex()} does not belong to its path and nonce")
        return packet

    @property
    def header(self) -> bytes:
        """The 81 bytes that say from where to where, and the nonce."""
        return (
            bytes([_VERSION])
            + self.nonce.to_bytes(8, "big")
            + self.source_eid.to_bytes(4, "big")
            + address_word(self.sender)
            + self.destination_eid.to_bytes(4, "big")
            + address_word(self.receiver)
        )

    @property
    def payload_hash(self) -> bytes:
        """What DVNs attest: keccak256 of guid and message."""
        return keccak(self.guid + self.message)

    @property
    def origin(self) -> tuple[int, bytes, int]:
        """(source eid, sender word, nonce) as the endpoint takes it."""
        return (self.source_eid, address_word(self.sender), self.nonce)

    def encode(self) -> bytes:
        """The whole packet."""
        return self.header + self.guid + self.message

    def path_guid(self) -> bytes:
        """keccak256 of nonce and path: what the guid must be."""
        return keccak(
            self.nonce.to_bytes(8, "big")
            + self.source_eid.to_bytes(4, "big")
            + address_word(self.sender)
            + self.destination_eid.to_bytes(4, "big")
            + address_word(self.receiver)
        )


def receive_options(gas: int) -> bytes:
    """Options that ask the executor to give ``gas`` to the receiver."""
    if not 0 < gas < 2**128:
        raise CallerError(f"executor gas must be positive and below 2^128, got {gas}")
    option = bytes([_LZ_RECEIVE]) + gas.to_bytes(16, "big")
    worker = bytes([_EXECUTOR]) + len(option).to_bytes(2, "big") + option
    return _OPTIONS_TYPE.to_bytes(2, "big") + worker


def receive_gas(options: bytes) -> int:
    """Gas that ``options`` ask the executor to give to the receiver; repeated requests add up.

    Raises CallerError when the options are not well-formed type 3.
    """
    if options[:2] != _OPTIONS_TYPE.to_bytes(2, "big"):
        raise CallerError(f"executor options are not of type {_OPTIONS_TYPE}: 0x{options.hex()}")
    gas, at = 0, 2
    while at < len(options):
        size = int.from_bytes(options[at + 1 : at + 3], "big")
        option = options[at + 3 : at + 3 + size]
        if size == 0 or len(option) != size:
            raise CallerError(f"executor options end in the middle: 0x{options.hex()}")
        if options[at] == _EXECUTOR and option[0] == _LZ_RECEIVE:
            gas += int.from_bytes(option[1:17], "big")
        at += 3 + size
    return gas
