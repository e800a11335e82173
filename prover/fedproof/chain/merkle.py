"""Merkle trees over a trainer's batches, as OpenZeppelin's MerkleProof checks them.

Pairs are hashed in sorted order and leaves are hashed twice, so no inner node can pass for a leaf. The layout
is that of OpenZeppelin's StandardMerkleTree (leaves sorted): the root does not depend on their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from eth_utils.crypto import keccak

from fedproof.errors import CallerError

_WORD = 32


class MerkleTree:
    """A tree over distinct 32-byte leaves, kept as one array: node i has the children 2i+1 and 2i+2."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise CallerError("a Merkle tree needs at least one leaf")
        for index, leaf in enumerate(leaves):
            if len(leaf) != _WORD:
                raise CallerError(f"leaf {index} has {len(leaf)} bytes, expected {_WORD}")
        ordered = sorted(leaves)
        for first, second in pairwise(ordered):
            if first == second:
                raise CallerError(
                    f"leaf 0x{first.hex()} occurs twice",
                    hint="two batches have the same commitment; salt them",
                )
        count = len(ordered)
        nodes = [b""] * (count - 1) + ordered[::-1]
        for index in range(count - 2, -1, -1):
            nodes[index] = hash_pair(nodes[2 * index + 1], nodes[2 * index + 2])
        self._nodes = nodes
        self._place = {leaf: 2 * count - 2 - index for index, leaf in enumerate(ordered)}

    @property
    def root(self) -> bytes:
        """The 32-byte root."""
        return self._nodes[0]

    def path(self, leaf: bytes) -> list[bytes]:
        """Sibling hashes from ``leaf`` to the root. Raises CallerError when it is not in the tree."""
        if leaf not in self._place:
            raise CallerError(f"0x{leaf.hex()} is not a leaf of this tree")
        index, siblings = self._place[leaf], []
        while index > 0:
            siblings.append(self._nodes[index + 1 if index % 2 else index - 1])
            index = (index - 1) // 2
        return siblings


def hash_pair(first: bytes, second: bytes) -> bytes:
    """keccak256 of both, the smaller first."""
    return keccak(first + second if first < second else second + first)


def is_on_path(root: bytes, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``path`` leads from ``leaf`` to ``root``."""
    node = leaf
    for sibling in path:
        node = hash_pair(node, sibling)
    return node == root
