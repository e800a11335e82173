// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {HubWorld} from "../kit/HubWorld.sol";

/// @dev What a dishonest aggregator tries, and what guardians may and may not do.
contract FinalizeAttacksTest is HubWorld {
    uint256 private constant DELTA = 17;
    uint64 private round;
    uint256[] private updates;
    uint256[] private weights;

    function setUp() external {
        _setUpWorld(4);
        (round, updates) = _runToFinalize(GENESIS, 2);
        weights = hub.weightsOf(modelId, round);
    }

    // The aggregator

    function test_rejects_aFlippedByteInTheProof() external {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        for (uint256 i = 0; i < proof.length; i += 7) {
            proof[i] ^= 0x80;
            vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
            _finalize(round, proof);
            proof[i] ^= 0x80;
        }
        _finalize(round, proof);
    }

    function test_rejects_aDroppedTrainer() external {
        weights[1] = 0;
        _expectMismatch();
    }

    function test_rejects_aDroppedTrainerWhoseWeightIsGivenToAnother() external {
        weights[0] += weights[1];
        weights[1] = 0;
        _expectMismatch();
    }

    function test_rejects_aSwappedTrainer() external {
        updates[2] = 12345;
        _expectMismatch();
    }

    function test_rejects_anotherWeight() external {
        weights[0] += 1;
        weights[3] -= 1;
        _expectMismatch();
    }

    function test_rejects_aDeltaOffByOneInOneCoordinate() external {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        // Remainder of one delta, commitment to another.
        bytes memory other = _aggregateProof(updates, weights, DELTA + 1);
        bytes memory mixed =
            aggregateVerifier.prove(0, _join(_pointsOf(proof, 0), _pointsOf(other, vectorColumns)));
        vm.expectPartialRevert(IFedproofHub.RemainderMismatch.selector);
        _finalize(round, mixed);
    }

    function test_rejects_swappedRemainderAndDelta() external {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        bytes memory swapped =
            aggregateVerifier.prove(0, _join(_pointsOf(proof, vectorColumns), _pointsOf(proof, 0)));
        vm.expectPartialRevert(IFedproofHub.RemainderMismatch.selector);
        _finalize(round, swapped);
    }

    function test_rejects_finalizingTwice() external {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        _finalize(round, proof);
        _expectWrongPhase(IFedproofHub.Phase.Finalize, IFedproofHub.Phase.Finalized);
        _finalize(round, proof);
    }

    function test_rejects_finalizingBeforeTheSubmissionsAreIn() external {
        _finalize(round, _aggregateProof(updates, weights, DELTA));
        uint64 next = _open();
        round = next;
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        _expectWrongPhase(IFedproofHub.Phase.Finalize, IFedproofHub.Phase.Commit);
        _finalize(next, proof);
    }

    function test_rejects_finalizingAnExpiredRound() external {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        vm.warp(hub.roundOf(modelId, round).finalizeEndsAt);
        _expectWrongPhase(IFedproofHub.Phase.Finalize, IFedproofHub.Phase.Expired);
        _finalize(round, proof);
    }

    function test_rejects_theAggregateOfAnotherRound() external {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        _finalize(round, proof);
        (uint64 next,) = _runToFinalize(GENESIS + DELTA, 2);
        vm.expectPartialRevert(IFedproofHub.RemainderMismatch.selector);
        _finalize(next, proof);
    }

    // Leaving out

    function test_guardiansLeaveOutAWithheldUpdate() external {
        _leaveOut(1, "withheld");
        uint256[] memory left = hub.weightsOf(modelId, round);
        vm.assertEq(left[1], 0);
        vm.assertEq(left[0] + left[2] + left[3], 1 << BITS);
        vm.assertTrue(hub.submissionsOf(modelId, round)[1].leftOut);
        // The old aggregate no longer fits, the new one does.
        bytes memory stale = _aggregateProof(updates, weights, DELTA);
        vm.expectPartialRevert(IFedproofHub.RemainderMismatch.selector);
        _finalize(round, stale);
        _finalize(round, _aggregateProof(updates, left, DELTA));
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS + DELTA));
        vm.assertEq(hub.owedTo(trainers[1]), BOND, "it did submit");
    }

    function test_rejects_tooFewGuardianSignatures() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.TooFewSignatures.selector, 2, 1));
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_repeatedGuardianSignatures() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 2);
        signatures[1] = signatures[0];
        address signer = vm.addr(guardianKeys[0]);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.SignersNotAscending.selector, signer, signer));
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_guardianSignaturesOutOfOrder() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 2);
        (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        vm.expectPartialRevert(IFedproofHub.SignersNotAscending.selector);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_foreignGuardianSignatures() external {
        bytes32 digest = _leaveOutDigest(round, 1);
        bytes[] memory signatures = _sign(digest, 0, 2);
        signatures[1] = _signature(0xbad, digest);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotAGuardian.selector, vm.addr(0xbad)));
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_signaturesOfAnotherRound() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round + 1, 1), 0, 2);
        vm.expectPartialRevert(IFedproofHub.NotAGuardian.selector);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_signaturesForAnotherTrainer() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 2), 0, 2);
        vm.expectPartialRevert(IFedproofHub.NotAGuardian.selector);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_signaturesForAnotherReason() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 2);
        vm.expectPartialRevert(IFedproofHub.NotAGuardian.selector);
        hub.leaveOut(modelId, round, trainers[1], "disliked", signatures);
    }

    function test_rejects_signaturesForAnotherHub() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 2);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(IFedproofHub.NotAGuardian.selector);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_rollBackSignaturesForLeavingOut() external {
        bytes[] memory signatures = _sign(hub.rollBackDigest(modelId, round), 0, 2);
        vm.expectPartialRevert(IFedproofHub.NotAGuardian.selector);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_leavingOutTwice() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 2);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.AlreadyLeftOut.selector, modelId, round, trainers[1])
        );
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_rejects_leavingOutSomeoneWhoDidNotSubmit() external {
        bytes[] memory signatures = _sign(hub.leaveOutDigest(modelId, round, stranger, "withheld"), 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotSubmitted.selector, modelId, round, stranger));
        hub.leaveOut(modelId, round, stranger, "withheld", signatures);
    }

    function test_rejects_leavingOutAfterTheRoundIsFinalized() external {
        bytes[] memory signatures = _sign(_leaveOutDigest(round, 1), 0, 2);
        _finalize(round, _aggregateProof(updates, weights, DELTA));
        _expectWrongPhase(IFedproofHub.Phase.Finalize, IFedproofHub.Phase.Finalized);
        hub.leaveOut(modelId, round, trainers[1], "withheld", signatures);
    }

    function test_tooManyLeftOutCancelsTheRound() external {
        _leaveOut(0, "withheld");
        _leaveOut(1, "withheld");
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.RoundStillPossible.selector, modelId, round));
        hub.cancel(modelId, round);
        _leaveOut(2, "withheld");
        bytes memory proof = _aggregateProof(updates, hub.weightsOf(modelId, round), DELTA);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.TooFewSubmissions.selector, modelId, round, 2, 1));
        _finalize(round, proof);
        hub.cancel(modelId, round);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Cancelled);
    }

    // Rolling back

    function test_guardiansRollBackTheNewestRound() external {
        _finalize(round, _aggregateProof(updates, weights, DELTA));
        uint64 next = _open();
        bytes[] memory signatures = _sign(hub.rollBackDigest(modelId, round), 1, 2);
        hub.rollBack(modelId, round, signatures);
        IFedproofHub.ModelView memory model = hub.modelOf(modelId);
        assertPoints(model.current, _vector(GENESIS));
        vm.assertEq(model.currentRound, 0);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.RolledBack);
        vm.assertTrue(hub.phaseOf(modelId, next) == IFedproofHub.Phase.Cancelled);
        _expectWrongPhase(IFedproofHub.Phase.Finalized, IFedproofHub.Phase.RolledBack);
        hub.modelHashOf(modelId, round);
        (, uint256 moved) = _runRound(GENESIS, 3);
        assertPoints(hub.modelOf(modelId).current, _vector(moved));
    }

    function test_rollingBackSkipsCancelledRounds() external {
        _finalize(round, _aggregateProof(updates, weights, DELTA));
        uint64 cancelled = _open();
        vm.warp(hub.roundOf(modelId, cancelled).finalizeEndsAt);
        hub.cancel(modelId, cancelled);
        (uint64 third,) = _runRound(GENESIS + DELTA, 5);
        hub.rollBack(modelId, third, _sign(hub.rollBackDigest(modelId, third), 0, 2));
        IFedproofHub.ModelView memory model = hub.modelOf(modelId);
        vm.assertEq(model.currentRound, round);
        assertPoints(model.current, _vector(GENESIS + DELTA));
        (, uint256 moved) = _runRound(GENESIS + DELTA, 6);
        assertPoints(hub.modelOf(modelId).current, _vector(moved));
    }

    function test_rejects_rollingBackTwiceInARow() external {
        (uint64 second, uint256 moved) = _twoRounds();
        bytes[] memory signatures = _sign(hub.rollBackDigest(modelId, second), 0, 2);
        hub.rollBack(modelId, second, signatures);
        assertPoints(hub.modelOf(modelId).current, _vector(moved));
        bytes[] memory deeper = _sign(hub.rollBackDigest(modelId, round), 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotRollable.selector, modelId, round));
        hub.rollBack(modelId, round, deeper);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotRollable.selector, modelId, second));
        hub.rollBack(modelId, second, signatures);
    }

    function test_rejects_rollingBackAnOlderRound() external {
        _twoRounds();
        bytes[] memory signatures = _sign(hub.rollBackDigest(modelId, round), 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotRollable.selector, modelId, round));
        hub.rollBack(modelId, round, signatures);
    }

    function test_rejects_rollingBackWithTooFewOrForeignSignatures() external {
        _finalize(round, _aggregateProof(updates, weights, DELTA));
        bytes32 digest = hub.rollBackDigest(modelId, round);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.TooFewSignatures.selector, 2, 0));
        hub.rollBack(modelId, round, new bytes[](0));
        bytes[] memory signatures = _sign(digest, 0, 2);
        signatures[0] = _signature(0xbad, digest);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotAGuardian.selector, vm.addr(0xbad)));
        hub.rollBack(modelId, round, signatures);
    }

    // Helpers

    function _twoRounds() private returns (uint64 second, uint256 moved) {
        _finalize(round, _aggregateProof(updates, weights, DELTA));
        moved = GENESIS + DELTA;
        (second,) = _runRound(moved, 5);
    }

    function _leaveOut(uint256 index, string memory reason) private {
        bytes32 digest = hub.leaveOutDigest(modelId, round, trainers[index], reason);
        hub.leaveOut(modelId, round, trainers[index], reason, _sign(digest, 0, 2));
    }

    function _leaveOutDigest(uint64 number, uint256 index) private view returns (bytes32) {
        return hub.leaveOutDigest(modelId, number, trainers[index], "withheld");
    }

    function _expectMismatch() private {
        bytes memory proof = _aggregateProof(updates, weights, DELTA);
        vm.expectPartialRevert(IFedproofHub.RemainderMismatch.selector);
        _finalize(round, proof);
    }

    function _expectWrongPhase(IFedproofHub.Phase expected, IFedproofHub.Phase actual) private {
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.WrongPhase.selector, modelId, round, expected, actual)
        );
    }
}
