// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {HubWorld} from "../kit/HubWorld.sol";

/// @dev Cancelling rounds and moving bonds.
contract BondsTest is HubWorld {
    uint64 private round;

    function setUp() external {
        _setUpWorld(3);
        round = _open();
    }

    function test_rejects_cancellingARoundThatCanStillSucceed() external {
        _expectStillPossible();
        Plan memory first = _plan(trainers[0], round, GENESIS, 1);
        Plan memory second = _plan(trainers[1], round, GENESIS, 1);
        _commit(trainers[0], round, first);
        _commit(trainers[1], round, second);
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        _expectStillPossible();
        _submit(trainers[0], round, first);
        _submit(trainers[1], round, second);
        _expectStillPossible();
    }

    function test_tooFewCommitsCancelTheRound() external {
        _commit(trainers[0], round, _plan(trainers[0], round, GENESIS, 1));
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        _cancelAndCheckBond(trainers[0]);
    }

    function test_tooFewSubmissionsCancelTheRound() external {
        Plan memory first = _plan(trainers[0], round, GENESIS, 1);
        _commit(trainers[0], round, first);
        _commit(trainers[1], round, _plan(trainers[1], round, GENESIS, 1));
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        _submit(trainers[0], round, first);
        vm.assertEq(hub.owedTo(trainers[0]), BOND, "released by submitting");
        vm.warp(hub.roundOf(modelId, round).submitEndsAt);
        _cancelAndCheckBond(trainers[1]);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.NoBondToReclaim.selector, modelId, round, trainers[0])
        );
        hub.reclaimBond(modelId, round, trainers[0]);
    }

    function test_anUnfinalizedRoundIsCancelled() external {
        vm.warp(hub.roundOf(modelId, round).finalizeEndsAt);
        hub.cancel(modelId, round);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFedproofHub.WrongPhase.selector,
                modelId,
                round,
                IFedproofHub.Phase.Expired,
                IFedproofHub.Phase.Cancelled
            )
        );
        hub.cancel(modelId, round);
    }

    function test_theModelStandsStillWhenARoundIsCancelled() external {
        vm.warp(hub.roundOf(modelId, round).finalizeEndsAt);
        hub.cancel(modelId, round);
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS));
        (uint64 next,) = _runRound(GENESIS, 4);
        vm.assertEq(hub.roundOf(modelId, next).parent, 0);
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS + 4));
    }

    function test_rejects_reclaimingFromAnOpenRound() external {
        _commit(trainers[0], round, _plan(trainers[0], round, GENESIS, 1));
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.NoBondToReclaim.selector, modelId, round, trainers[0])
        );
        hub.reclaimBond(modelId, round, trainers[0]);
    }

    function test_rejects_aWithdrawalOfNothing() external {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NothingToWithdraw.selector, stranger));
        hub.withdraw();
    }

    function test_rejects_reentrantWithdrawals() external {
        Reentrant thief = new Reentrant(hub);
        vm.warp(hub.roundOf(modelId, round).finalizeEndsAt);
        hub.cancel(modelId, round);
        _addTrainer(address(thief));
        round = _open();
        _commit(address(thief), round, _plan(address(thief), round, GENESIS, 1));
        vm.warp(hub.roundOf(modelId, round).finalizeEndsAt);
        hub.cancel(modelId, round);
        hub.reclaimBond(modelId, round, address(thief));
        // The inner withdrawal finds nothing left, fails, and takes the outer one with it.
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NothingToWithdraw.selector, address(thief)));
        thief.attack();
        vm.assertEq(hub.owedTo(address(thief)), BOND);
    }

    function _expectStillPossible() private {
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.RoundStillPossible.selector, modelId, round));
        hub.cancel(modelId, round);
    }

    function _cancelAndCheckBond(address trainer) private {
        vm.prank(stranger);
        hub.cancel(modelId, round);
        hub.reclaimBond(modelId, round, trainer);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.NoBondToReclaim.selector, modelId, round, trainer)
        );
        hub.reclaimBond(modelId, round, trainer);
        uint256 before = trainer.balance;
        vm.prank(trainer);
        vm.assertEq(hub.withdraw(), BOND);
        vm.assertEq(trainer.balance, before + BOND);
    }
}

contract Reentrant {
    IFedproofHub private immutable HUB;

    constructor(IFedproofHub hub) {
        HUB = hub;
    }

    function attack() external {
        HUB.withdraw();
    }

    receive() external payable {
        HUB.withdraw();
    }
}
