"""Contracts compute the same sums with the precompiles ecAdd and ecMul (EIP-196)."""

from __future__ import annotations

import random
import socket

import pytest
from web3 import Web3

from fedproof.commitments import INFINITY, SCALAR_MODULUS, Point, add, mul, neg, weighted_sum
from fedproof.commitments.curve import multiply

pytestmark = pytest.mark.evm

EC_ADD = "0x0000000000000000000000000000000000000006"
EC_MUL = "0x0000000000000000000000000000000000000007"
EDGES = [0, 1, 2, -1, SCALAR_MODULUS - 1, SCALAR_MODULUS, 2**256 - 1]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    from fedproof.chain.devnet import Devnet
    from fedproof.errors import CallerError

    devnet = Devnet(tmp_path_factory.mktemp("devnet"), l2_port=free_port(), l1_port=free_port())
    try:
        devnet.up()
    except CallerError as error:
        pytest.skip(f"no anvil here: {error}")
    yield Web3(Web3.HTTPProvider(devnet.url("l2")))
    devnet.down()


def ec_add(chain, left, right):
    return Point.from_bytes(bytes(chain.eth.call({"to": EC_ADD, "data": left.to_bytes() + right.to_bytes()})))


def ec_mul(chain, point, scalar):
    data = point.to_bytes() + (scalar % 2**256).to_bytes(32, "big")
    return Point.from_bytes(bytes(chain.eth.call({"to": EC_MUL, "data": data})))


def points():
    rng = random.Random(7)
    some = [Point(*multiply((1, 2), rng.randrange(SCALAR_MODULUS))) for _ in range(3)]
    return [INFINITY, Point(1, 2), *some, neg((some[0],))[0]]


def test_additions(chain):
    for left in points():
        for right in points():
            assert (ec_add(chain, left, right),) == add((left,), (right,))


def test_multiplications(chain):
    for point in points():
        for scalar in (*EDGES[:3], *EDGES[4:]):
            assert (ec_mul(chain, point, scalar),) == mul((point,), scalar)


def test_a_weighted_sum(chain):
    weights = [0, 1, 2**16, 12345, 99, SCALAR_MODULUS - 1]
    total = INFINITY
    for point, weight in zip(points(), weights, strict=True):
        total = ec_add(chain, total, ec_mul(chain, point, weight))
    assert (total,) == weighted_sum([(point,) for point in points()], weights)
