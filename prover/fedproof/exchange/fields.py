"""Types of fields in documents that travel: hashes, addresses and points, as text."""

from __future__ import annotations

import json
from typing import Annotated, Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pydantic import AfterValidator, BaseModel, Field

from fedproof.commitments import Commitment, Point

_HEX32 = "^0x[0-9a-f]{64}$"

#: 32 bytes in hex.
Hash = Annotated[str, Field(pattern=_HEX32)]
#: SHA-256 in hex, as content is named.
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
#: 65 bytes in hex.
Signature = Annotated[str, Field(pattern="^0x[0-9a-f]{130}$")]
#: Number of a round; 0 is the genesis.
Number = Annotated[int, Field(ge=0, lt=2**64)]


def _checksummed(value: str) -> str:
    if value != to_checksum_address(value):
        raise ValueError("not an address with its checksum")
    return value


Address = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$"), AfterValidator(_checksummed)]


def _on_curve(value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if to_text(from_text(value)) != value:
        raise ValueError("coordinates are written in lower-case hex, without leading zeros")
    return value


#: A commitment: x and y of each column, in hex.
Points = Annotated[tuple[tuple[str, str], ...], AfterValidator(_on_curve)]


def to_text(commitment: Commitment) -> tuple[tuple[str, str], ...]:
    """Write a commitment for a document."""
    return tuple((hex(p.x), hex(p.y)) for p in commitment)


def from_text(points: tuple[tuple[str, str], ...]) -> Commitment:
    """Read a commitment of a document; raises ``ValueError`` for what is no point.

    :class:`InvalidPoint` is turned into one, so that pydantic names the field.
    """
    from fedproof.errors import InvalidProof  # noqa: PLC0415

    try:
        return tuple(Point.checked(int(x, 16), int(y, 16)) for x, y in points)
    except InvalidProof as error:
        raise ValueError(str(error)) from error


def to_bytes(value: str) -> bytes:
    """Return the bytes of a hex field."""
    return bytes.fromhex(value.removeprefix("0x"))


def to_hex(value: bytes) -> str:
    """Write bytes for a document."""
    return "0x" + value.hex()


def document_hash(document: BaseModel, *, without: str = "signature") -> bytes:
    """Keccak-256 of a document's canonical JSON: keys sorted, no spaces, one field left out."""
    fields: dict[str, Any] = document.model_dump(mode="json", exclude={without})
    return keccak(json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode())
