// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "./BN254.sol";
import {Point} from "./Point.sol";

/// @title Arithmetic on committed vectors, column by column
/// @dev Both arguments of a binary operation have the same number of columns; a mismatch is a bug of the caller and
/// panics, or is cut to the first argument's columns. Results are new arrays.
library Vectors {
    /// @notice The commitment to the zero vector without its tail: infinity in every column.
    function zero(uint256 columns) internal pure returns (Point[] memory) {
        return new Point[](columns);
    }

    /// @notice a + b.
    function add(Point[] memory a, Point[] memory b) internal view returns (Point[] memory sum) {
        sum = new Point[](a.length);
        for (uint256 i = 0; i < a.length; ++i) {
            sum[i] = BN254.add(a[i], b[i]);
        }
    }

    /// @notice a - b.
    function sub(Point[] memory a, Point[] memory b) internal view returns (Point[] memory difference) {
        difference = new Point[](a.length);
        for (uint256 i = 0; i < a.length; ++i) {
            difference[i] = BN254.sub(a[i], b[i]);
        }
    }

    /// @notice scalar·a.
    function scale(Point[] memory a, uint256 scalar) internal view returns (Point[] memory product) {
        product = new Point[](a.length);
        for (uint256 i = 0; i < a.length; ++i) {
            product[i] = BN254.mul(a[i], scalar);
        }
    }

    /// @notice `p` added to every column. With the tail, P becomes C; with minus the tail, C becomes P.
    function shift(Point[] memory a, Point memory p) internal view returns (Point[] memory shifted) {
        shifted = new Point[](a.length);
        for (uint256 i = 0; i < a.length; ++i) {
            shifted[i] = BN254.add(a[i], p);
        }
    }

    /// @notice `count` points of `points` from index `start`.
    function slice(Point[] memory points, uint256 start, uint256 count)
        internal
        pure
        returns (Point[] memory part)
    {
        part = new Point[](count);
        for (uint256 i = 0; i < count; ++i) {
            part[i] = points[start + i];
        }
    }

    /// @notice The first column in which two vectors differ; `a.length` if they are equal.
    function firstDifference(Point[] memory a, Point[] memory b) internal pure returns (uint256 column) {
        while (column < a.length && BN254.equal(a[column], b[column])) ++column;
    }

    /// @notice keccak256(abi.encode(points)): the name of a committed vector.
    function key(Point[] memory points) internal pure returns (bytes32) {
        return keccak256(abi.encode(points));
    }

    /// @notice Copies a vector into empty storage.
    function store(Point[] storage target, Point[] memory points) internal {
        for (uint256 i = 0; i < points.length; ++i) {
            target.push(points[i]);
        }
    }
}
