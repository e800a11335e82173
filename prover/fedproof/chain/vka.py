"""The verifying key that a reusable verifier takes in calldata (ezkl's VKA file)."""

from __future__ import annotations

from pathlib import Path

from eth_utils.crypto import keccak

from fedproof.errors import CallerError

_COUNT_BYTES = 8
_WORD = 32


def read_vka(path: Path) -> tuple[bytes, ...]:
    """The 32-byte words of the key in ``path``: a little-endian 64-bit count, then the words.

    Raises CallerError when the file is missing or its length does not fit its count.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CallerError(f"cannot read verifying key {path}: {error.strerror}") from error
    count = int.from_bytes(content[:_COUNT_BYTES], "little")
    if count == 0 or len(content) != _COUNT_BYTES + _WORD * count:
        raise CallerError(f"{path} is not a verifying key: {len(content)} bytes for {count} words")
    body = content[_COUNT_BYTES:]
    return tuple(body[at : at + _WORD] for at in range(0, len(body), _WORD))


def vka_digest(words: tuple[bytes, ...]) -> bytes:
    """keccak256 of all words: what an adapter pins."""
    return keccak(b"".join(words))
