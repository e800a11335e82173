// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {Point} from "../../src/points/Point.sol";
import {HubWorld} from "../kit/HubWorld.sol";

/// @dev Honest rounds, checked against scalar arithmetic.
contract RoundTest is HubWorld {
    function setUp() external {
        _setUpWorld(4);
    }

    function test_aRoundMovesTheModelByDelta() external {
        (uint64 round, uint256 moved) = _runRound(GENESIS, 17);
        IFedproofHub.ModelView memory model = hub.modelOf(modelId);
        assertPoints(model.current, _vector(moved));
        vm.assertEq(model.currentRound, round);
        IFedproofHub.RoundView memory view_ = hub.roundOf(modelId, round);
        vm.assertTrue(view_.phase == IFedproofHub.Phase.Finalized);
        assertPoints(view_.base, _vector(GENESIS));
        assertPoints(view_.result, _vector(moved));
        vm.assertEq(view_.finalizer, aggregator);
        bytes32 expected = keccak256(abi.encode(modelId, round, _vector(moved)));
        vm.assertEq(hub.modelHashOf(modelId, round), expected);
    }

    function test_roundsFollowOneAnother() external {
        uint256 model = GENESIS;
        for (uint256 i = 1; i <= 3; ++i) {
            (, model) = _runRound(model, i * 1000);
        }
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS + 6000));
        vm.assertEq(hub.latestRoundOf(modelId), 3);
    }

    function test_twoColumnsEverywhere() external {
        (vectorColumns, batchColumns) = (2, 3);
        delete trainers;
        delete guardianKeys;
        _setUpWorld(3);
        (, uint256 moved) = _runRound(GENESIS, 5);
        (, moved) = _runRound(moved, R - 9);
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS - 4));
    }

    function test_submissionsCarryTheUpdates() external {
        (uint64 round, uint256[] memory updates) = _runToFinalize(GENESIS, 3);
        IFedproofHub.SubmissionView[] memory list = hub.submissionsOf(modelId, round);
        vm.assertEq(list.length, 4);
        for (uint256 i = 0; i < list.length; ++i) {
            vm.assertEq(list[i].trainer, trainers[i]);
            vm.assertEq(list[i].samples, 48);
            assertPoints(list[i].update, _vector(updates[i]));
        }
    }

    function test_weightedSumFollowsScalars() external {
        uint64 round = _open();
        Plan[] memory plans = new Plan[](4);
        for (uint256 i = 0; i < 4; ++i) {
            plans[i] = _plan(trainers[i], round, GENESIS, i + 1);
            _commit(trainers[i], round, plans[i]);
        }
        uint256 sum;
        // 1, 2, 3 and 4 of 10 steps, in 4096ths, rounded down cumulatively: 409, 1228, 2457, 4096.
        uint16[4] memory weights = [409, 819, 1229, 1639];
        for (uint256 i = 0; i < 4; ++i) {
            _submit(trainers[i], round, plans[i]);
            sum = addmod(sum, mulmod(_update(plans[i]), weights[i], R), R);
        }
        uint256[] memory actual = hub.weightsOf(modelId, round);
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertEq(actual[i], weights[i]);
        }
        assertPoints(hub.weightedSumOf(modelId, round), _vector(sum));
    }

    function test_phasesCloseEarlyWhenAllHaveActed() external {
        uint64 round = _open();
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Commit);
        Plan[] memory plans = new Plan[](4);
        for (uint256 i = 0; i < 4; ++i) {
            plans[i] = _plan(trainers[i], round, GENESIS, 1);
            _commit(trainers[i], round, plans[i]);
        }
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Submit);
        for (uint256 i = 0; i < 4; ++i) {
            _submit(trainers[i], round, plans[i]);
        }
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Finalize);
    }

    function test_theCommitPhaseClosesWhenTheRoundIsFull() external {
        maxTrainers = 2;
        delete trainers;
        delete guardianKeys;
        _setUpWorld(3);
        uint64 round = _open();
        _commit(trainers[0], round, _plan(trainers[0], round, GENESIS, 1));
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Commit);
        _commit(trainers[1], round, _plan(trainers[1], round, GENESIS, 1));
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Submit);
    }

    function test_theSubmitPhaseWaitsOnlyForThoseWhoCommitted() external {
        uint64 round = _open();
        Plan memory first = _plan(trainers[0], round, GENESIS, 1);
        Plan memory second = _plan(trainers[1], round, GENESIS, 1);
        _commit(trainers[0], round, first);
        _commit(trainers[1], round, second);
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        _submit(trainers[0], round, first);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Submit);
        _submit(trainers[1], round, second);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Finalize);
    }

    function test_phasesCloseAtTheirDeadlines() external {
        uint64 round = _open();
        IFedproofHub.RoundView memory view_ = hub.roundOf(modelId, round);
        vm.warp(view_.commitEndsAt - 1);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Commit);
        vm.warp(view_.commitEndsAt);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Submit);
        vm.warp(view_.submitEndsAt);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Finalize);
        vm.warp(view_.finalizeEndsAt);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Expired);
    }

    function test_aRoundGoesOnWithoutThoseWhoDoNotShowUp() external {
        uint64 round = _open();
        Plan memory first = _plan(trainers[0], round, GENESIS, 1);
        Plan memory second = _plan(trainers[1], round, GENESIS, 1);
        Plan memory third = _plan(trainers[2], round, GENESIS, 1);
        _commit(trainers[0], round, first);
        _commit(trainers[1], round, second);
        _commit(trainers[2], round, third);
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        _submit(trainers[0], round, first);
        _submit(trainers[1], round, second);
        vm.warp(hub.roundOf(modelId, round).submitEndsAt);
        uint256[] memory updates = new uint256[](2);
        (updates[0], updates[1]) = (_update(first), _update(second));
        _finalize(round, _aggregateProof(updates, hub.weightsOf(modelId, round), 3));
        vm.assertEq(hub.owedTo(aggregator), BOND, "the bond of the third");
        vm.assertEq(hub.owedTo(trainers[0]), BOND);
        vm.assertEq(hub.owedTo(trainers[2]), 0);
    }
}
