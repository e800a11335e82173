// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "./Point.sol";

/// @title Arithmetic in the group of BN254
/// @dev Addition and multiplication are the precompiles of EIP-196. They reject points off the curve and coordinates
/// beyond the field, which is reported as PrecompileFailed.
library BN254 {
    /// @notice The prime of the field the coordinates are in.
    uint256 internal constant FIELD_MODULUS =
        21888242871839275222246405745257275088696311157297823662689037894645226208583;
    /// @notice The prime order of the group; scalars count modulo it.
    uint256 internal constant GROUP_ORDER =
        21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @notice Bytes of a point in a proof: x, then y, big-endian.
    uint256 internal constant POINT_BYTES = 64;

    uint256 private constant EC_ADD = 6;
    uint256 private constant EC_MUL = 7;

    /// @notice A precompile refused its input: a point off the curve, or too little gas.
    error PrecompileFailed(uint256 precompile);
    /// @notice The coordinates are not of a point on the curve.
    error NotOnCurve(uint256 x, uint256 y);
    /// @notice Fewer bytes than the points that should be read from them.
    error TooFewBytesForPoints(uint256 expected, uint256 actual);

    /// @notice The generator (1, 2).
    function generator() internal pure returns (Point memory) {
        return Point(1, 2);
    }

    /// @notice Whether `p` is on the curve with reduced coordinates; the point at infinity is.
    function isOnCurve(Point memory p) internal pure returns (bool) {
        (uint256 x, uint256 y) = (p.x, p.y);
        if (x >= FIELD_MODULUS || y >= FIELD_MODULUS) return false;
        if (x == 0 && y == 0) return true;
        uint256 cubic = addmod(mulmod(mulmod(x, x, FIELD_MODULUS), x, FIELD_MODULUS), 3, FIELD_MODULUS);
        return mulmod(y, y, FIELD_MODULUS) == cubic;
    }

    /// @notice Reverts unless `p` is on the curve.
    function requireOnCurve(Point memory p) internal pure {
        if (!isOnCurve(p)) revert NotOnCurve(p.x, p.y);
    }

    /// @notice Whether two points are the same. Coordinates are expected to be reduced.
    function equal(Point memory a, Point memory b) internal pure returns (bool) {
        return a.x == b.x && a.y == b.y;
    }

    /// @notice -p. `p` is expected to be on the curve.
    function neg(Point memory p) internal pure returns (Point memory) {
        return Point(p.x, p.y == 0 ? 0 : FIELD_MODULUS - p.y);
    }

    /// @notice a + b.
    function add(Point memory a, Point memory b) internal view returns (Point memory sum) {
        bool ok;
        assembly ("memory-safe") {
            // The scratch space takes only two words: use free memory without claiming it.
            let words := mload(0x40)
            mcopy(words, a, 0x40)
            mcopy(add(words, 0x40), b, 0x40)
            ok := staticcall(gas(), EC_ADD, words, 0x80, sum, 0x40)
        }
        if (!ok) revert PrecompileFailed(EC_ADD);
    }

    /// @notice a - b.
    function sub(Point memory a, Point memory b) internal view returns (Point memory) {
        return add(a, neg(b));
    }

    /// @notice scalar·p, for any 256-bit scalar.
    function mul(Point memory p, uint256 scalar) internal view returns (Point memory product) {
        bool ok;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mcopy(words, p, 0x40)
            mstore(add(words, 0x40), scalar)
            ok := staticcall(gas(), EC_MUL, words, 0x60, product, 0x40)
        }
        if (!ok) revert PrecompileFailed(EC_MUL);
    }

    /// @notice Reads the point that starts at byte `offset` of `data`.
    /// @dev The caller checks the length and the curve; see `readPoints`.
    function readPoint(bytes calldata data, uint256 offset) internal pure returns (Point memory p) {
        assembly ("memory-safe") {
            calldatacopy(p, add(data.offset, offset), POINT_BYTES)
        }
    }

    /// @notice Reads the first `count` points of `data`, each of which must be on the curve.
    function readPoints(bytes calldata data, uint256 count) internal pure returns (Point[] memory points) {
        if (data.length / POINT_BYTES < count) revert TooFewBytesForPoints(count * POINT_BYTES, data.length);
        points = new Point[](count);
        for (uint256 i = 0; i < count; ++i) {
            Point memory p = readPoint(data, i * POINT_BYTES);
            requireOnCurve(p);
            points[i] = p;
        }
    }
}
