// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {Vectors} from "../../src/points/Vectors.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {HubWorld} from "../kit/HubWorld.sol";
import {Merkle} from "../kit/Merkle.sol";

/// @dev What a dishonest trainer or thief tries when it commits and submits.
contract SubmitAttacksTest is HubWorld {
    using Vectors for Point[];

    uint64 private round;
    address private trainer;

    function setUp() external {
        _setUpWorld(3);
        round = _open();
        trainer = trainers[0];
    }

    function test_rejects_aFlippedByteAnywhereInAProof() external {
        Plan memory plan = _planned(1);
        for (uint256 i = 0; i < plan.steps[0].proof.length; i += 13) {
            plan.steps[0].proof[i] ^= 0x01;
            vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
            _submit(trainer, round, plan);
            plan.steps[0].proof[i] ^= 0x01;
        }
        _submit(trainer, round, plan);
    }

    function test_rejects_aProofOfAnotherModel() external {
        Plan memory plan = _plan(trainer, round, GENESIS + 1, 1);
        _commitAll(plan);
        _expectModelMismatch(0, GENESIS, GENESIS + 1);
        _submit(trainer, round, plan);
    }

    function test_rejects_aChainThatDoesNotStartAtTheGlobalModel() external {
        Plan memory plan = _plan(trainer, round, GENESIS + 1, 3);
        _commitAll(plan);
        _expectModelMismatch(0, GENESIS, GENESIS + 1);
        _submit(trainer, round, plan);
    }

    function test_rejects_aBrokenChain() external {
        Plan memory plan = _planned(3);
        (plan.steps[1], plan.steps[2]) = (plan.steps[2], plan.steps[1]);
        vm.expectPartialRevert(IFedproofHub.ModelCommitmentMismatch.selector);
        _submit(trainer, round, plan);
    }

    function test_rejects_swappedCommitmentSlots() external {
        Point[] memory batch = _batch(trainer, 0);
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        // Model and step exchanged.
        Point[] memory points = _join(_full(_vector(5)), _full(batch));
        points = _join(_join(points, _full(_vector(GENESIS))), _one(g(99)));
        _replaceStep(
            plan, trainer, round, stepVerifier.prove(0, points), _join(_full(batch), _full(_vector(GENESIS)))
        );
        _commitAll(plan);
        _expectModelMismatch(0, GENESIS, 5);
        _submit(trainer, round, plan);
    }

    function test_rejects_batchAndStepSwapped() external {
        Point[] memory batch = _batch(trainer, 0);
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        Point[] memory points = _join(_full(_vector(GENESIS)), _full(_vector(5)));
        points = _join(_join(points, _full(batch)), _one(g(99)));
        _replaceStep(
            plan, trainer, round, stepVerifier.prove(0, points), _join(_full(_vector(5)), _full(batch))
        );
        _commitAll(plan);
        vm.expectPartialRevert(IFedproofHub.BatchNotInDataset.selector);
        _submit(trainer, round, plan);
    }

    function test_rejects_aBatchOutsideTheDataset() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        Point[] memory foreign = _batch(trainers[1], 0);
        _replaceStep(
            plan, trainer, round, _stepProof(0, GENESIS, foreign, 5), _join(_full(foreign), _full(_vector(5)))
        );
        _commitAll(plan);
        bytes32 leaf = keccak256(bytes.concat(foreign.key()));
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.BatchNotInDataset.selector, 0, leaf, _datasetRoot(trainer))
        );
        _submit(trainer, round, plan);
    }

    function test_rejects_anotherBatchsPath() external {
        Plan memory plan = _planned(1);
        plan.steps[0].batchPath = Merkle.path(_leaves(trainer), 3);
        vm.expectPartialRevert(IFedproofHub.BatchNotInDataset.selector);
        _submit(trainer, round, plan);
    }

    function test_rejects_anInnerNodeAsABatch() external {
        // A path cut short would do if leaves and inner nodes were hashed alike.
        Plan memory plan = _planned(1);
        bytes32[] memory path = plan.steps[0].batchPath;
        plan.steps[0].batchPath = new bytes32[](path.length - 1);
        for (uint256 i = 1; i < path.length; ++i) {
            plan.steps[0].batchPath[i - 1] = path[i];
        }
        vm.expectPartialRevert(IFedproofHub.BatchNotInDataset.selector);
        _submit(trainer, round, plan);
    }

    function test_rejects_theSameBatchTwiceInARound() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 2);
        Point[] memory batch = _batch(trainer, 0);
        plan.steps[1].proof = _stepProof(0, addmod(GENESIS, R - plan.deltas[0], R), batch, 5);
        plan.steps[1].batchPath = plan.steps[0].batchPath;
        Point[] memory revealed = _join(_full(batch), _full(_vector(plan.deltas[0])));
        plan.digest =
            _digest(round, trainer, plan.nonce, _join(revealed, _join(_full(batch), _full(_vector(5)))));
        _commitAll(plan);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.BatchAlreadyUsed.selector, 1, batch.key()));
        _submit(trainer, round, plan);
    }

    function test_accepts_aBatchAgainInTheNextRound() external {
        _closeAndCancel();
        (uint64 next,) = _runRound(GENESIS, 1);
        // Both rounds use the batches 0 and 1 of every trainer.
        _runRound(GENESIS + 1, 1);
        vm.assertEq(hub.latestRoundOf(modelId), next + 1);
    }

    function test_rejects_aReplayedProofInALaterRound() external {
        Plan memory plan = _planned(1);
        _submit(trainer, round, plan);
        vm.warp(hub.roundOf(modelId, round).submitEndsAt);
        hub.cancel(modelId, round);
        // The model has not moved, so only the uniqueness of step commitments stands in the way.
        uint64 next = _open();
        Point[] memory revealed = _join(_full(_batch(trainer, 0)), _full(_vector(plan.deltas[0])));
        plan.digest = _digest(next, trainer, plan.nonce, revealed);
        _commit(trainer, next, plan);
        vm.warp(hub.roundOf(modelId, next).commitEndsAt);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.StepAlreadyUsed.selector, 0, _vector(plan.deltas[0]).key())
        );
        _submit(trainer, next, plan);
    }

    function test_rejects_aProofOfAnotherRound() external {
        _closeAndCancel();
        (uint64 first,) = _runRound(GENESIS, 7);
        uint64 next = _open();
        Plan memory plan = _plan(trainer, next, GENESIS, 1);
        _commit(trainer, next, plan);
        vm.warp(hub.roundOf(modelId, next).commitEndsAt);
        _expectModelMismatch(0, GENESIS + 7, GENESIS);
        _submit(trainer, next, plan);
        vm.assertEq(first + 1, next);
    }

    function test_rejects_theSameStepTwiceInOneSubmission() external {
        // δ = 0 would let a chain repeat itself for ever and claim samples for nothing.
        Plan memory plan = _plan(trainer, round, GENESIS, 2);
        (Point[] memory first, Point[] memory second) = (_batch(trainer, 0), _batch(trainer, 1));
        plan.steps[0].proof = _stepProof(0, GENESIS, first, 0);
        plan.steps[1].proof = _stepProof(0, GENESIS, second, 0);
        Point[] memory revealed = _join(_full(first), _full(_vector(0)));
        plan.digest =
            _digest(round, trainer, plan.nonce, _join(revealed, _join(_full(second), _full(_vector(0)))));
        _commitAll(plan);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.StepAlreadyUsed.selector, 1, _vector(0).key()));
        _submit(trainer, round, plan);
    }

    function test_rejects_aStolenProof() external {
        Plan memory plan = _planned(1);
        // The thief has committed to something, sees the proof in the pool and submits it first.
        address thief = trainers[1];
        vm.expectPartialRevert(IFedproofHub.BatchNotInDataset.selector);
        _submit(thief, round, plan);
        // Nor does it help to have registered the victim's dataset as one's own.
        _closeAndCancel();
        bytes32 root = _datasetRoot(trainer);
        vm.prank(thief);
        hub.registerDataset(modelId, root);
        round = _open();
        plan = _planned(1);
        Point[] memory revealed = _join(_full(_batch(trainer, 0)), _full(_vector(plan.deltas[0])));
        bytes32 actual = _digest(round, thief, plan.nonce, revealed);
        bytes32 committed = hub.commitOf(modelId, round, thief);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.CommitDigestMismatch.selector, committed, actual));
        _submit(thief, round, plan);
        _submit(trainer, round, plan);
    }

    function test_rejects_aThiefWhoCopiedTheDigest() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        address thief = trainers[1];
        _commit(trainer, round, plan);
        _commit(thief, round, plan);
        _commit(trainers[2], round, plan);
        vm.expectPartialRevert(IFedproofHub.BatchNotInDataset.selector);
        _submit(thief, round, plan);
    }

    function test_rejects_otherStepsThanCommitted() external {
        Plan memory plan = _planned(1);
        Plan memory other = _plan(trainer, round, GENESIS, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.CommitDigestMismatch.selector, plan.digest, other.digest)
        );
        _submit(trainer, round, other);
    }

    function test_rejects_fewerStepsThanCommitted() external {
        Plan memory plan = _planned(2);
        IFedproofHub.StepProof[] memory one = new IFedproofHub.StepProof[](1);
        one[0] = plan.steps[0];
        plan.steps = one;
        vm.expectPartialRevert(IFedproofHub.CommitDigestMismatch.selector);
        _submit(trainer, round, plan);
    }

    function test_rejects_anotherNonce() external {
        Plan memory plan = _planned(1);
        plan.nonce = bytes32(uint256(1));
        vm.expectPartialRevert(IFedproofHub.CommitDigestMismatch.selector);
        _submit(trainer, round, plan);
    }

    function test_rejects_aSubmissionWithoutACommit() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        Plan memory other = _plan(trainers[1], round, GENESIS, 1);
        _commit(trainers[1], round, other);
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotCommitted.selector, modelId, round, trainer));
        _submit(trainer, round, plan);
    }

    function test_rejects_aSubmissionInTheCommitPhase() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        _commit(trainer, round, plan);
        _expectWrongPhase(IFedproofHub.Phase.Submit, IFedproofHub.Phase.Commit);
        _submit(trainer, round, plan);
    }

    function test_rejects_aSubmissionAfterItsPhase() external {
        Plan memory plan = _planned(1);
        vm.warp(hub.roundOf(modelId, round).submitEndsAt);
        _expectWrongPhase(IFedproofHub.Phase.Submit, IFedproofHub.Phase.Finalize);
        _submit(trainer, round, plan);
    }

    function test_rejects_aCommitAfterItsPhase() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
        _expectWrongPhase(IFedproofHub.Phase.Commit, IFedproofHub.Phase.Submit);
        _commit(trainer, round, plan);
    }

    function test_rejects_aSecondSubmission() external {
        Plan memory plan = _planned(1);
        _submit(trainer, round, plan);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.AlreadySubmitted.selector, modelId, round, trainer)
        );
        _submit(trainer, round, plan);
    }

    function test_rejects_aSecondCommit() external {
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        _commit(trainer, round, plan);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.AlreadyCommitted.selector, modelId, round, trainer)
        );
        _commit(trainer, round, plan);
    }

    function test_rejects_noStepsAndTooManySteps() external {
        Plan memory plan = _planned(4);
        IFedproofHub.StepProof[] memory steps = plan.steps;
        plan.steps = new IFedproofHub.StepProof[](0);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.WrongStepCount.selector, 4, 0));
        _submit(trainer, round, plan);
        plan.steps = new IFedproofHub.StepProof[](5);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.WrongStepCount.selector, 4, 5));
        _submit(trainer, round, plan);
        plan.steps = steps;
        _submit(trainer, round, plan);
    }

    function test_rejects_aStranger() external {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotAdmitted.selector, modelId, stranger));
        hub.commit{value: BOND}(modelId, round, bytes32(uint256(1)));
    }

    function test_rejects_aWrongBond() external {
        vm.prank(trainer);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.WrongBond.selector, BOND, BOND - 1));
        hub.commit{value: BOND - 1}(modelId, round, bytes32(uint256(1)));
    }

    function test_rejects_anEmptyDigest() external {
        vm.prank(trainer);
        vm.expectRevert(IFedproofHub.EmptyDigest.selector);
        hub.commit{value: BOND}(modelId, round, 0);
    }

    function test_rejects_aRoundThatDoesNotExist() external {
        vm.prank(trainer);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.UnknownRound.selector, modelId, round + 1));
        hub.commit{value: BOND}(modelId, round + 1, bytes32(uint256(1)));
    }

    function test_rejects_aDatasetRegisteredAfterTheRoundOpened() external {
        vm.prank(trainer);
        hub.registerDataset(modelId, bytes32(uint256(1)));
        vm.prank(trainer);
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.DatasetTooNew.selector, trainer, round + 1, round)
        );
        hub.commit{value: BOND}(modelId, round, bytes32(uint256(1)));
    }

    function test_rejects_aDatasetChangedWhileInUse() external {
        _commit(trainer, round, _plan(trainer, round, GENESIS, 1));
        vm.prank(trainer);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.DatasetInUse.selector, modelId, round, trainer));
        hub.registerDataset(modelId, bytes32(uint256(1)));
    }

    // Helpers

    /// @dev A committed plan of the trainer; the others commit to something too, which closes the phase.
    function _planned(uint256 count) private returns (Plan memory plan) {
        plan = _plan(trainer, round, GENESIS, count);
        _commitAll(plan);
    }

    function _commitAll(Plan memory plan) private {
        _commit(trainer, round, plan);
        for (uint256 i = 1; i < trainers.length; ++i) {
            _commit(trainers[i], round, _plan(trainers[i], round, GENESIS, 1));
        }
    }

    function _closeAndCancel() private {
        vm.warp(hub.roundOf(modelId, round).finalizeEndsAt);
        hub.cancel(modelId, round);
    }

    function _expectModelMismatch(uint256 step, uint256 expected, uint256 actual) private {
        Point memory tail = g(TAIL);
        vm.expectRevert(
            abi.encodeWithSelector(
                IFedproofHub.ModelCommitmentMismatch.selector,
                step,
                0,
                BN254.add(g(expected), tail),
                BN254.add(g(actual), tail)
            )
        );
    }

    function _expectWrongPhase(IFedproofHub.Phase expected, IFedproofHub.Phase actual) private {
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.WrongPhase.selector, modelId, round, expected, actual)
        );
    }
}
