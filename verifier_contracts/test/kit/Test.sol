// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {Vm} from "./Vm.sol";

/// @dev What every test shares.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant R = BN254.GROUP_ORDER;
    bool public constant IS_TEST = true;

    /// @dev scalar·G.
    function g(uint256 scalar) internal view returns (Point memory) {
        return BN254.mul(BN254.generator(), scalar);
    }

    /// @dev Brings a fuzzed value into [low, high].
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + value % (high - low + 1);
    }

    function assertPoint(Point memory actual, Point memory expected) internal pure {
        vm.assertEq(actual.x, expected.x, "x");
        vm.assertEq(actual.y, expected.y, "y");
    }

    function assertPoints(Point[] memory actual, Point[] memory expected) internal pure {
        vm.assertEq(actual.length, expected.length, "columns");
        for (uint256 i = 0; i < actual.length; ++i) {
            assertPoint(actual[i], expected[i]);
        }
    }
}
