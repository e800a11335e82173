// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {Point} from "../../src/points/Point.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {HubWorld} from "../kit/HubWorld.sol";

/// @dev Circuits with a challenge: a proof is bound to its model and round, and a step to its trainer.
contract ContextsTest is HubWorld {
    uint64 private round;
    address private trainer;
    address private thief;

    function setUp() external {
        (vectorColumns, batchColumns) = (2, 2);
        challenged = true;
        _setUpWorld(3);
        (trainer, thief) = (trainers[0], trainers[1]);
    }

    function test_aRoundIsFinalized() external {
        (uint64 first, uint256 moved) = _runRound(GENESIS, 17);
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS + 17));
        (uint64 second,) = _runRound(moved, 4);
        vm.assertEq(first + 1, second);
        assertPoints(hub.modelOf(modelId).current, _vector(GENESIS + 21));
    }

    function test_anAverageIsNobodysInParticular() external {
        (bytes memory proof,) = _averaged();
        vm.prank(stranger);
        hub.finalize(modelId, round, proof, noVka);
        vm.assertTrue(hub.phaseOf(modelId, round) == IFedproofHub.Phase.Finalized);
    }

    function test_rejects_aProofOfAnotherTrainer() external {
        _takeDataset();
        round = _open();
        Plan memory shown = _plan(trainer, round, GENESIS, 1);
        Plan memory taken = _stolen(shown);
        _commitBoth(shown, taken);
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        _submit(thief, round, taken);
        _submit(trainer, round, shown);
    }

    function test_theSameStepProvenByWhoeverCommittedToItIsAccepted() external {
        // So it is the context, and nothing else, that stops the thief above, who could not prove the step.
        _takeDataset();
        round = _open();
        Plan memory shown = _plan(trainer, round, GENESIS, 1);
        Plan memory taken = _stolen(shown);
        taken.steps[0].proof =
            _stepProof(_context(round, thief), GENESIS, _batch(trainer, 0), shown.deltas[0]);
        _commitBoth(shown, taken);
        _submit(thief, round, taken);
    }

    function test_rejects_aProofShownTooLateByAThief() external {
        _takeDataset();
        Plan memory shown = _shownTooLate();
        round = _open();
        Plan memory taken = _stolen(shown);
        _commitBoth(_plan(trainer, round, GENESIS, 1), taken);
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        _submit(thief, round, taken);
    }

    function test_rejects_aProofOfAnotherRoundAtTheSameModel() external {
        Plan memory shown = _shownTooLate();
        round = _open();
        Point[] memory revealed = _join(_full(_batch(trainer, 0)), _full(_vector(shown.deltas[0])));
        shown.digest = _digest(round, trainer, shown.nonce, revealed);
        _commitBoth(shown, _plan(thief, round, GENESIS, 1));
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        _submit(trainer, round, shown);
        shown.steps[0].proof =
            _stepProof(_context(round, trainer), GENESIS, _batch(trainer, 0), shown.deltas[0]);
        _submit(trainer, round, shown);
    }

    function test_rejects_aProofForAnotherModelWithTheSameVerifiers() external {
        round = _open();
        bytes memory foreign = _plan(trainer, round, GENESIS, 1).steps[0].proof;
        bytes32 first = modelId;
        modelId = _register(_config());
        for (uint256 i = 0; i < 2; ++i) {
            _admit(trainers[i], _datasetRoot(trainers[i]));
        }
        vm.assertTrue(first != modelId);
        vm.assertEq(_open(), round);
        Plan memory plan = _plan(trainer, round, GENESIS, 1);
        bytes memory own = plan.steps[0].proof;
        _commitBoth(plan, _plan(thief, round, GENESIS, 1));
        plan.steps[0].proof = foreign;
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        _submit(trainer, round, plan);
        plan.steps[0].proof = own;
        _submit(trainer, round, plan);
    }

    function test_rejects_anAverageOfAnotherContext() external {
        (bytes memory honest, Point[] memory points) = _averaged();
        bytes32[4] memory others = [
            _context(round + 1, address(0)),
            _context(round, aggregator),
            keccak256(abi.encode(bytes32("another model"), round, address(0))),
            bytes32(0)
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory proof = aggregateVerifier.prove(others[i], points);
            vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
            _finalize(round, proof);
        }
        _finalize(round, honest);
    }

    // Helpers

    /// @dev An honest average of a new round, and the points in it.
    function _averaged() private returns (bytes memory proof, Point[] memory points) {
        uint256[] memory updates;
        (round, updates) = _runToFinalize(GENESIS, 1);
        proof = _aggregateProof(updates, hub.weightsOf(modelId, round), 5);
        points = _join(_join(_pointsOf(proof, 0), _pointsOf(proof, vectorColumns)), _one(g(98)));
    }

    /// @dev The thief registers its victim's batches as its own.
    function _takeDataset() private {
        bytes32 root = _datasetRoot(trainer);
        vm.prank(thief);
        hub.registerDataset(modelId, root);
    }

    function _admit(address account, bytes32 root) private {
        vm.prank(owner);
        hub.admitTrainer(modelId, account);
        vm.prank(account);
        hub.registerDataset(modelId, root);
    }

    /// @dev The victim's steps as the thief commits to them.
    function _stolen(Plan memory shown) private view returns (Plan memory taken) {
        taken = Plan(shown.nonce, 0, new IFedproofHub.StepProof[](1), shown.deltas);
        taken.steps[0] = IFedproofHub.StepProof(shown.steps[0].proof, shown.steps[0].batchPath);
        Point[] memory revealed = _join(_full(_batch(trainer, 0)), _full(_vector(shown.deltas[0])));
        taken.digest = _digest(round, thief, taken.nonce, revealed);
    }

    /// @dev A step whose submission came after its deadline, in a round that came to nothing.
    function _shownTooLate() private returns (Plan memory shown) {
        round = _open();
        shown = _plan(trainer, round, GENESIS, 1);
        _commitBoth(shown, _plan(thief, round, GENESIS, 1));
        vm.warp(hub.roundOf(modelId, round).submitEndsAt);
        vm.expectPartialRevert(IFedproofHub.WrongPhase.selector);
        _submit(trainer, round, shown);
        hub.cancel(modelId, round);
    }

    function _commitBoth(Plan memory one, Plan memory other) private {
        _commit(trainer, round, one);
        _commit(thief, round, other);
        vm.warp(hub.roundOf(modelId, round).commitEndsAt);
    }
}
