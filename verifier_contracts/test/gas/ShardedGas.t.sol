// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../../src/points/Point.sol";
import {ShardedCircuitVerifier} from "../../src/verifiers/ShardedCircuitVerifier.sol";
import {MockCircuitVerifier} from "../kit/MockCircuitVerifier.sol";
import {Test} from "../kit/Test.sol";

/// @dev What an average in shards costs on top of its proofs, which are mocked here: each call is a transaction of its
/// own, with its calldata.
/// forge-config: default.isolate = true
contract ShardedGasTest is Test {
    bytes32[] private none;

    function test_gas_ofShards() external {
        _measure(ShardedCircuitVerifier.Shape(1, 3, 1, 1, 3, 16, 0), "1 shard, 3 columns of digits");
        _measure(ShardedCircuitVerifier.Shape(3, 1, 1, 1, 3, 16, 0), "3 shards, 3 columns of digits");
        _measure(ShardedCircuitVerifier.Shape(12, 1, 2, 4, 3, 16, 0), "12 shards, 12 columns of digits");
    }

    function _measure(ShardedCircuitVerifier.Shape memory shape, string memory name) private {
        MockCircuitVerifier circuit = new MockCircuitVerifier("digits", shape.vectors * shape.points, 0);
        ShardedCircuitVerifier whole = new ShardedCircuitVerifier(circuit, shape, g(7));
        bytes memory proof;
        for (uint256 i = 0; i < shape.count; ++i) {
            Point[] memory points = new Point[](shape.vectors * shape.points);
            for (uint256 j = 0; j < points.length; ++j) {
                points[j] = g(100 * i + j + 1);
            }
            proof = bytes.concat(proof, circuit.prove("", points));
        }
        whole.verify("", proof, none);
        vm.snapshotGasLastCall("sharded", name);
    }
}
