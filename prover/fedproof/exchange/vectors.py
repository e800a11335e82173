"""Vectors as bytes: one .npy of little-endian int64, no pickle, one encoding for each vector."""

from __future__ import annotations

import io

import numpy as np

from fedproof.errors import CallerError, InvalidProof
from fedproof.lowering.ir import IntArray

#: Bytes that the header of a packed vector may have.
HEADER_BYTES = 256


class InvalidVector(InvalidProof):
    """Bytes that are no packed vector, or one of another length."""


def packed_bytes(length: int) -> int:
    """An upper bound of the bytes of a packed vector of ``length`` elements."""
    return 8 * length + HEADER_BYTES


def pack(vector: IntArray) -> bytes:
    """Return a flat int64 vector as .npy bytes."""
    array = np.asarray(vector)
    if array.ndim != 1 or array.dtype != np.int64:
        raise CallerError(f"a vector is flat and int64, not {array.dtype} of shape {array.shape}")
    file = io.BytesIO()
    np.lib.format.write_array(
        file, np.ascontiguousarray(array, dtype="<i8"), version=(1, 0), allow_pickle=False
    )
    return file.getvalue()


def unpack(data: bytes, length: int) -> IntArray:
    """Read what :func:`pack` wrote: exactly ``length`` elements and nothing behind them.

    Raises :class:`InvalidVector` for anything else: another type, shape or header. Nothing is unpickled.
    """
    file = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise InvalidVector("not a vector: another version of the .npy format")
        shape, _, kind = np.lib.format.read_array_header_1_0(file, max_header_size=HEADER_BYTES)
    except ValueError as error:
        raise InvalidVector(f"not a vector: {error}") from error
    if kind != np.dtype("<i8") or shape != (length,):
        raise InvalidVector(f"a vector of {kind} and shape {shape}, expected int64 of ({length},)")
    body = data[file.tell() :]
    if len(body) != 8 * length:
        raise InvalidVector(f"a vector of {length} elements has {8 * length} bytes, not {len(body)}")
    vector = np.frombuffer(body, dtype="<i8").astype(np.int64)
    # One encoding for each vector: spaces in the header would give it another digest.
    if pack(vector) != data:
        raise InvalidVector("a vector with another header than this format has")
    return vector
