// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @dev Builds sorted-pair Merkle trees over a power of two of leaves.
library Merkle {
    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        return _fold(leaves, 0, new bytes32[](0));
    }

    function path(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory siblings) {
        uint256 depth;
        while ((1 << depth) < leaves.length) ++depth;
        siblings = new bytes32[](depth);
        _fold(leaves, index, siblings);
    }

    function _fold(bytes32[] memory leaves, uint256 index, bytes32[] memory siblings)
        private
        pure
        returns (bytes32)
    {
        bytes32[] memory level = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            level[i] = leaves[i];
        }
        uint256 height;
        for (uint256 width = leaves.length; width > 1; width /= 2) {
            if (siblings.length != 0) siblings[height++] = level[index ^ 1];
            for (uint256 i = 0; i < width / 2; ++i) {
                level[i] = Hashes.commutativeKeccak256(level[2 * i], level[2 * i + 1]);
            }
            index /= 2;
        }
        return level[0];
    }
}
