// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title Integer weights that sum to a power of two exactly
library Weights {
    /// @notice ⌊2^bits · cumulative / total⌋: the weights of all trainers up to one of them, together.
    /// @dev The weight of a trainer is the difference of two of these, so the weights telescope to 2^bits whatever
    /// the rounding. `cumulative` ≤ `total` < 2^128 and `bits` ≤ 64, hence nothing overflows.
    function upTo(uint256 cumulative, uint256 total, uint256 bits) internal pure returns (uint256) {
        return (cumulative << bits) / total;
    }
}
