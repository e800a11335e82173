// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Weights} from "../../src/hub/Weights.sol";
import {Test} from "../kit/Test.sol";

contract WeightsTest is Test {
    function testFuzz_weightsSumToThePowerOfTwo(uint64[] calldata samples, uint256 bits) external pure {
        bits = bound(bits, 1, 64);
        uint256 total;
        for (uint256 i = 0; i < samples.length; ++i) {
            total += samples[i];
        }
        vm.assume(total != 0);
        (uint256 sum, uint256 cumulative, uint256 below) = (0, 0, 0);
        for (uint256 i = 0; i < samples.length; ++i) {
            cumulative += samples[i];
            uint256 upTo = Weights.upTo(cumulative, total, bits);
            vm.assertGe(upTo, below, "weights are not negative");
            uint256 weight = upTo - below;
            // Within one of the exact share.
            uint256 share = (uint256(samples[i]) << bits) / total;
            vm.assertLe(weight, share + 1, "too heavy");
            vm.assertGe(weight + 1, share, "too light");
            sum += weight;
            below = upTo;
        }
        vm.assertEq(sum, 1 << bits);
    }

    function testFuzz_aCommonFactorCancels(uint64 cumulative, uint64 rest, uint32 factor, uint256 bits)
        external
        pure
    {
        bits = bound(bits, 1, 64);
        uint256 total = uint256(cumulative) + rest;
        vm.assume(total != 0 && factor != 0);
        vm.assertEq(
            Weights.upTo(cumulative, total, bits),
            Weights.upTo(uint256(cumulative) * factor, total * factor, bits)
        );
    }
}
