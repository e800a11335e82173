"""The challenge of a circuit: a random field element that is fixed only after the vectors it checks."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedproof.commitments.field import SCALAR_MODULUS
from fedproof.commitments.point import Commitment
from fedproof.errors import CallerError

CONTEXT_BYTES = 32

NO_CONTEXT = bytes(CONTEXT_BYTES)
"""The context of a proof that is made for no round and no trainer. No hub accepts it."""


def challenge(context: bytes, commitments: Sequence[Commitment]) -> int:
    """The challenge of a proof made for ``context`` (32 bytes), an element of the scalar field.

    ``commitments`` are C of all committed vectors but the last, the late one, in the circuit's order. A hash
    of both, as ``Challenge.sol`` computes it: what a challenge is to check must be committed before it is
    known. Raises CallerError when the context has another length or nothing is committed.
    """
    if len(context) != CONTEXT_BYTES:
        raise CallerError(
            f"a context has {CONTEXT_BYTES} bytes, not {len(context)}",
            hint="pass step_context(...), finalize_context(...) or NO_CONTEXT",
        )
    points = [(point.x, point.y) for commitment in commitments for point in commitment]
    if not points:
        raise CallerError(
            "a challenge of no commitments is known in advance",
            hint="pass the commitments of all vectors but the last",
        )
    digest = keccak(encode(["bytes32", "(uint256,uint256)[]"], [context, points]))
    return int.from_bytes(digest, "big") % SCALAR_MODULUS
