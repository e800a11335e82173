// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {Vectors} from "../../src/points/Vectors.sol";
import {Test} from "../kit/Test.sol";

contract BN254Test is Test {
    using Vectors for Point[];

    function testFuzz_addFollowsScalars(uint256 a, uint256 b) external view {
        (a, b) = (a % R, b % R);
        assertPoint(BN254.add(g(a), g(b)), g(addmod(a, b, R)));
    }

    function testFuzz_subFollowsScalars(uint256 a, uint256 b) external view {
        (a, b) = (a % R, b % R);
        assertPoint(BN254.sub(g(a), g(b)), g(addmod(a, R - b, R)));
    }

    function testFuzz_mulFollowsScalars(uint256 a, uint256 b) external view {
        assertPoint(BN254.mul(g(a), b), g(mulmod(a, b, R)));
    }

    function testFuzz_negCancels(uint256 a) external view {
        assertPoint(BN254.add(g(a), BN254.neg(g(a))), Point(0, 0));
    }

    function test_infinityIsNeutral() external view {
        assertPoint(BN254.add(g(5), Point(0, 0)), g(5));
        assertPoint(BN254.neg(Point(0, 0)), Point(0, 0));
        assertPoint(BN254.mul(g(5), 0), Point(0, 0));
        assertPoint(g(R), Point(0, 0));
        vm.assertTrue(BN254.isOnCurve(Point(0, 0)));
    }

    function testFuzz_multiplesAreOnTheCurve(uint256 a) external view {
        vm.assertTrue(BN254.isOnCurve(g(a)));
    }

    function testFuzz_aChangedCoordinateIsOffTheCurve(uint256 a, uint256 change) external view {
        Point memory p = g(bound(a, 1, R - 1));
        change = bound(change, 1, BN254.FIELD_MODULUS - 1);
        uint256 y = addmod(p.y, change, BN254.FIELD_MODULUS);
        vm.assume(y != BN254.FIELD_MODULUS - p.y);
        vm.assertFalse(BN254.isOnCurve(Point(p.x, y)));
    }

    function test_unreducedCoordinatesAreRefused() external view {
        Point memory p = g(7);
        vm.assertFalse(BN254.isOnCurve(Point(p.x + BN254.FIELD_MODULUS, p.y)));
        vm.assertFalse(BN254.isOnCurve(Point(p.x, p.y + BN254.FIELD_MODULUS)));
        vm.assertFalse(BN254.isOnCurve(Point(BN254.FIELD_MODULUS, 0)));
    }

    function test_precompileFailureIsAnError() external {
        vm.expectRevert(abi.encodeWithSelector(BN254.PrecompileFailed.selector, 6));
        this.add(Point(1, 1), Point(1, 2));
        vm.expectRevert(abi.encodeWithSelector(BN254.PrecompileFailed.selector, 7));
        this.mul(Point(1, 1), 3);
    }

    function testFuzz_readPointsIsWhatWasWritten(uint256 a, uint256 b, bytes calldata rest) external view {
        (Point memory p, Point memory q) = (g(a), g(b));
        Point[] memory points = this.read(bytes.concat(abi.encode(p, q), rest), 2);
        assertPoint(points[0], p);
        assertPoint(points[1], q);
    }

    function test_readPointsRefusesShortData() external {
        vm.expectRevert(abi.encodeWithSelector(BN254.TooFewBytesForPoints.selector, 128, 127));
        this.read(new bytes(127), 2);
    }

    function test_readPointsRefusesAPointOffTheCurve() external {
        vm.expectRevert(abi.encodeWithSelector(BN254.NotOnCurve.selector, 1, 3));
        this.read(abi.encode(Point(1, 2), Point(1, 3)), 2);
    }

    function testFuzz_vectorsAreColumnwise(uint256 a, uint256 b, uint256 scalar) external view {
        (a, b) = (a % R, b % R);
        Point[] memory sum = _pair(a, b).add(_pair(b, a));
        assertPoints(sum, _pair(addmod(a, b, R), addmod(a, b, R)));
        assertPoints(sum.sub(_pair(b, a)), _pair(a, b));
        assertPoints(_pair(a, b).scale(scalar), _pair(mulmod(a, scalar, R), mulmod(b, scalar, R)));
        assertPoints(_pair(a, b).shift(g(3)), _pair(addmod(a, 3, R), addmod(b, 3, R)));
    }

    function test_firstDifference() external view {
        vm.assertEq(_pair(1, 2).firstDifference(_pair(1, 2)), 2);
        vm.assertEq(_pair(1, 2).firstDifference(_pair(1, 3)), 1);
        vm.assertEq(_pair(1, 2).firstDifference(_pair(2, 2)), 0);
    }

    function add(Point memory a, Point memory b) external view returns (Point memory) {
        return BN254.add(a, b);
    }

    function mul(Point memory a, uint256 scalar) external view returns (Point memory) {
        return BN254.mul(a, scalar);
    }

    function read(bytes calldata data, uint256 count) external pure returns (Point[] memory) {
        return BN254.readPoints(data, count);
    }

    function _pair(uint256 a, uint256 b) private view returns (Point[] memory points) {
        points = new Point[](2);
        points[0] = g(a);
        points[1] = g(b);
    }
}
