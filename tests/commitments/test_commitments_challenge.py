"""The challenge: a fixed vector that the contracts' tests know too, and what it depends on."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from fedproof.commitments import INFINITY, NO_CONTEXT, SCALAR_MODULUS, Point, challenge, mul
from fedproof.errors import CallerError

pytestmark = pytest.mark.reference

POINTS = [mul((Point(1, 2),), scalar)[0] for scalar in range(1, 6)]
CONTEXT = (0xC0FFEE).to_bytes(32, "big")


def test_the_challenge_is_the_one_that_solidity_computes():
    """The same numbers stand in verifier_contracts/test/verifiers/Challenge.t.sol."""
    found = challenge(CONTEXT, [(point,) for point in POINTS[:3]])
    assert found == 7021655084766123365547018046868607322093939950333287332151005070156576810562


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(st.sampled_from([*POINTS, INFINITY]), min_size=1))
def test_it_is_the_hash_of_the_abi_encoding(context, points):
    encoded = encode(["bytes32", "(uint256,uint256)[]"], [context, [tuple(point) for point in points]])
    expected = int.from_bytes(keccak(encoded), "big") % SCALAR_MODULUS
    assert challenge(context, [(point,) for point in points]) == expected


def test_a_vector_of_several_columns_is_its_points_in_order():
    """As in the bytes of a proof; how many columns a vector has is fixed by the circuit."""
    a, b, c = POINTS[:3]
    assert challenge(CONTEXT, [(a, b), (c,)]) == challenge(CONTEXT, [(a,), (b, c)])


def test_whatever_is_committed_changes_it():
    a, b, c, d, _ = POINTS
    found = {
        challenge(context, [(point,) for point in points])
        for context in (CONTEXT, NO_CONTEXT)
        for points in ([a, b, c], [b, a, c], [d, b, c], [a, d, c], [a, b, d], [a, b], [a, b, c, c])
    }
    assert len(found) == 14


def test_what_is_no_context_or_no_commitment_is_refused():
    with pytest.raises(CallerError, match="32 bytes, not 31"):
        challenge(bytes(31), [(POINTS[0],)])
    for nothing in ([], [()]):
        with pytest.raises(CallerError, match="known in advance"):
            challenge(CONTEXT, nothing)
