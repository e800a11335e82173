// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {HubWorld} from "../kit/HubWorld.sol";

/// @dev What the hub itself costs, without the generated verifiers (they are mocked here). Each call is a transaction
/// of its own, so storage is cold; the figures go to snapshots/ and include the transaction's base cost and calldata.
/// forge-config: default.isolate = true
contract GasTest is HubWorld {
    uint256 private constant ETHEREUM_LIKE_BLOCK = 32_000_000;

    function test_gas_ofARound() external {
        _setUpWorld(4);
        vm.prank(owner);
        uint64 round = hub.openRound(modelId);
        vm.snapshotGasLastCall("hub", "openRound");
        Plan[] memory plans = new Plan[](4);
        for (uint256 i = 0; i < 4; ++i) {
            plans[i] = _plan(trainers[i], round, GENESIS, 2);
            _commit(trainers[i], round, plans[i]);
        }
        vm.snapshotGasLastCall("hub", "commit, last of 4");
        uint256[] memory updates = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            _submit(trainers[i], round, plans[i]);
            if (i == 0) vm.snapshotGasLastCall("hub", "submit, 2 steps");
            updates[i] = _update(plans[i]);
        }
        bytes memory proof = _aggregateProof(updates, hub.weightsOf(modelId, round), 5);
        _finalize(round, proof);
        vm.snapshotGasLastCall("hub", "finalize, 4 trainers");
    }

    function test_gas_finalize100Trainers() external {
        _finalizeMany(100, "finalize, 100 trainers");
    }

    function test_gas_finalize1000TrainersFitsIntoABlock() external {
        uint256 gas = _finalizeMany(1000, "finalize, 1000 trainers");
        vm.assertLt(gas, ETHEREUM_LIKE_BLOCK, "finalize of 1000 trainers");
    }

    function _finalizeMany(uint256 count, string memory name) private returns (uint256) {
        maxTrainers = uint32(count);
        _setUpWorld(count);
        uint64 round = _open();
        // In calls of their own, so that their memory is given back.
        for (uint256 i = 0; i < count; ++i) {
            this.commitOne(i, round);
        }
        uint256[] memory updates = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            updates[i] = this.submitOne(i, round);
        }
        bytes memory proof = _aggregateProof(updates, hub.weightsOf(modelId, round), 5);
        _finalize(round, proof);
        return vm.snapshotGasLastCall("hub", name);
    }

    mapping(uint256 index => bytes) private _plans;

    function commitOne(uint256 index, uint64 round) external {
        Plan memory plan = _plan(trainers[index], round, GENESIS, 1);
        _plans[index] = abi.encode(plan);
        _commit(trainers[index], round, plan);
    }

    function submitOne(uint256 index, uint64 round) external returns (uint256) {
        Plan memory plan = abi.decode(_plans[index], (Plan));
        _submit(trainers[index], round, plan);
        return _update(plan);
    }
}
