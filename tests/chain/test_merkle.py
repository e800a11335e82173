"""Merkle trees against themselves, against the reference layout, and against OpenZeppelin's contract."""

from __future__ import annotations

import pytest
from chain_world import World
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from fedproof.chain.merkle import MerkleTree, hash_pair, is_on_path
from fedproof.chain.solidity import compile_sources
from fedproof.errors import CallerError

LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True)

CHECK = """
pragma solidity ^0.8.26;
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
contract MerkleCheck {
    function verify(bytes32[] calldata path, bytes32 root, bytes32 leaf) external pure returns (bool) {
        return MerkleProof.verifyCalldata(path, root, leaf);
    }
}
"""


@pytest.mark.reference
@given(LEAVES)
def test_every_leaf_is_on_its_path_and_no_other_is(leaves):
    tree = MerkleTree(leaves)
    for leaf in leaves:
        assert is_on_path(tree.root, leaf, tree.path(leaf))
        assert not is_on_path(tree.root, keccak(leaf), tree.path(leaf))


@pytest.mark.reference
@given(LEAVES, st.randoms())
def test_the_root_does_not_depend_on_the_order(leaves, random):
    shuffled = list(leaves)
    random.shuffle(shuffled)
    assert MerkleTree(shuffled).root == MerkleTree(leaves).root


@pytest.mark.reference
def test_the_layout_is_that_of_the_standard_tree():
    a, b, c = sorted(keccak(text=name) for name in "abc")
    assert MerkleTree([c, a, b]).root == hash_pair(hash_pair(a, b), c)
    assert MerkleTree([a]).root == a
    assert MerkleTree([a]).path(a) == []


@pytest.mark.reference
def test_what_cannot_be_a_tree_is_refused():
    with pytest.raises(CallerError, match="at least one leaf"):
        MerkleTree([])
    with pytest.raises(CallerError, match="leaf 1 has 31 bytes"):
        MerkleTree([bytes(32), bytes(31)])
    with pytest.raises(CallerError, match="occurs twice"):
        MerkleTree([bytes(32), bytes(32)])
    with pytest.raises(CallerError, match="not a leaf"):
        MerkleTree([bytes(32)]).path(b"\1" * 32)


@pytest.mark.evm
def test_openzeppelin_agrees(world: World):
    artefact = compile_sources({"tests/MerkleCheck.sol": CHECK})["MerkleCheck"]
    client = world.chains.l2
    address = client.deploy(artefact).contract
    assert address
    check = client.at(address, artefact.abi)

    @settings(max_examples=15, deadline=None)
    @given(LEAVES, st.data())
    def agree(leaves, data):
        tree = MerkleTree(leaves)
        leaf = data.draw(st.sampled_from(leaves))
        path = tree.path(leaf)
        assert client.call(check.functions.verify(path, tree.root, leaf))
        assert not client.call(check.functions.verify(path, tree.root, keccak(leaf)))

    agree()
