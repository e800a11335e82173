// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Merkle} from "../kit/Merkle.sol";
import {Test} from "../kit/Test.sol";

/// @dev The tree the datasets are in, as OpenZeppelin verifies it.
contract DatasetTest is Test {
    function testFuzz_everyLeafHasAPath(bytes32 seed, uint256 depth, uint256 index) external view {
        bytes32[] memory leaves = _leaves(seed, depth);
        index = bound(index, 0, leaves.length - 1);
        vm.assertTrue(this.verify(Merkle.path(leaves, index), Merkle.root(leaves), leaves[index]));
    }

    function testFuzz_aChangedPathLeadsElsewhere(bytes32 seed, uint256 depth, uint256 index, uint256 bit)
        external
        view
    {
        bytes32[] memory leaves = _leaves(seed, bound(depth, 1, 5));
        index = bound(index, 0, leaves.length - 1);
        bytes32[] memory path = Merkle.path(leaves, index);
        path[bit % path.length] ^= bytes32(1 << (bit % 256));
        vm.assertFalse(this.verify(path, Merkle.root(leaves), leaves[index]));
    }

    function verify(bytes32[] calldata path, bytes32 root, bytes32 leaf) external pure returns (bool) {
        return MerkleProof.verifyCalldata(path, root, leaf);
    }

    function _leaves(bytes32 seed, uint256 depth) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](1 << bound(depth, 0, 5));
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(bytes.concat(keccak256(abi.encode(seed, i))));
        }
    }
}
