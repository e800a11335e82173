// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice A point of the BN254 curve y² = x³ + 3; (0, 0) is the point at infinity.
/// @dev A committed vector is a `Point[]`: one point for each column of the circuit that holds a part of it.
struct Point {
    uint256 x;
    uint256 y;
}
