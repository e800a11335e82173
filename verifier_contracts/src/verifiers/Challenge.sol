// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";

/// @title The random number that a circuit with a challenge is checked at
/// @dev Such a circuit checks many equations between committed vectors by one random linear combination. The number
/// must be fixed after those vectors, so it is a hash of their commitments.
library Challenge {
    /// @dev Bytes of abi.encode(context, points) before the first point: context, offset of the array, its length.
    uint256 private constant HEAD_BYTES = 0x60;

    /// @notice uint256(keccak256(abi.encode(bytes32 context, Point[] points))) modulo the group order, where `points`
    /// are the first `count` points of `proof`.
    /// @dev The points are hashed as they stand: the caller checks that they are in the proof and on the curve.
    function derive(bytes32 context, bytes calldata proof, uint256 count)
        internal
        pure
        returns (uint256 challenge)
    {
        uint256 size = count * BN254.POINT_BYTES;
        bytes32 digest;
        assembly ("memory-safe") {
            // A proof writes a point as abi.encode does: encode in free memory, without claiming it.
            let words := mload(0x40)
            mstore(words, context)
            mstore(add(words, 0x20), 0x40)
            mstore(add(words, 0x40), count)
            calldatacopy(add(words, HEAD_BYTES), proof.offset, size)
            digest := keccak256(words, add(HEAD_BYTES, size))
        }
        challenge = uint256(digest) % BN254.GROUP_ORDER;
    }
}
