// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {Point} from "../../src/points/Point.sol";
import {HubWorld} from "../kit/HubWorld.sol";
import {Merkle} from "../kit/Merkle.sol";

/// @dev An optimiser with a state: zero where a submission starts, handed on from step to step.
contract StatefulTest is HubWorld {
    uint64 private round;
    address private trainer;

    function setUp() external {
        stateful = true;
        vectorColumns = 2;
        _setUpWorld(2);
        round = _open();
        trainer = trainers[0];
    }

    function test_aStateIsHandedOn() external {
        _play(round, _states(0, 11, 11, 12, 12, 13));
    }

    function testFuzz_anyStateIsHandedOn(uint256 a, uint256 b, uint256 c) external {
        (a, b, c) = (a % R, b % R, c % R);
        _play(round, _states(0, a, a, b, b, c));
    }

    function test_theNextRoundStartsFromZeroAgain() external {
        _play(round, _states(0, 11, 11, 12, 12, 13));
        vm.warp(block.timestamp + 10 hours);
        hub.cancel(modelId, round);
        round = _open();
        Plan memory kept = _planOf(round, _states(13, 14, 14, 15, 15, 16));
        _expectMismatch(0, 0, 13);
        _submit(trainer, round, kept);
    }

    function test_rejects_aFirstStateThatIsNotZero() external {
        Plan memory plan = _planOf(round, _states(1, 11, 11, 12, 12, 13));
        _expectMismatch(0, 0, 1);
        _submit(trainer, round, plan);
    }

    function test_rejects_aStateThatIsReset() external {
        Plan memory plan = _planOf(round, _states(0, 11, 0, 12, 12, 13));
        _expectMismatch(1, 11, 0);
        _submit(trainer, round, plan);
    }

    function test_rejects_theStateOfAnEarlierStep() external {
        Plan memory plan = _planOf(round, _states(0, 11, 11, 12, 11, 13));
        _expectMismatch(2, 12, 11);
        _submit(trainer, round, plan);
    }

    function testFuzz_rejects_anyOtherState(uint256 wrong, uint8 chosen) external {
        uint256 step = chosen % 3;
        uint256[6] memory states = _states(0, 11, 11, 12, 12, 13);
        wrong %= R;
        vm.assume(wrong != states[2 * step]);
        uint256 expected = states[2 * step];
        states[2 * step] = wrong;
        Plan memory plan = _planOf(round, states);
        _expectMismatch(step, expected, wrong);
        _submit(trainer, round, plan);
    }

    function test_rejects_aVerifierWithoutStates() external {
        IFedproofHub.ModelConfig memory config = _config();
        // Four vectors, a batch and advice are nine and one points; with columns of batches they are too few.
        config.batchColumns = 3;
        vm.expectRevert(
            abi.encodeWithSelector(IFedproofHub.InvalidModelConfig.selector, bytes32("stepVerifier"), 10)
        );
        _register(config);
    }

    function _states(uint256 a, uint256 b, uint256 c, uint256 d, uint256 e, uint256 f)
        private
        pure
        returns (uint256[6] memory)
    {
        return [a, b, c, d, e, f];
    }

    function _play(uint64 number, uint256[6] memory states) private {
        Plan memory plan = _planOf(number, states);
        _submit(trainer, number, plan);
        vm.assertEq(hub.submissionsOf(modelId, number).length, 1);
    }

    /// @dev Commits three steps whose states before and after are given.
    function _planOf(uint64 number, uint256[6] memory states) private returns (Plan memory plan) {
        plan.nonce = bytes32(uint256(number));
        plan.steps = new IFedproofHub.StepProof[](3);
        Point[] memory revealed;
        uint256 model = GENESIS;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 delta = 100 * number + i + 1;
            Point[] memory batch = _batch(trainer, i);
            Point[] memory step = _join(_full(batch), _full(_vector(delta)));
            Point[] memory points = _join(_full(_vector(model)), step);
            points = _join(points, _full(_vector(states[2 * i])));
            points = _join(points, _full(_vector(states[2 * i + 1])));
            plan.steps[i].proof = stepVerifier.prove(_context(number, trainer), _join(points, _one(g(99))));
            plan.steps[i].batchPath = Merkle.path(_leaves(trainer), i);
            revealed = _join(revealed, step);
            model -= delta;
        }
        plan.digest = _digest(number, trainer, plan.nonce, revealed);
        _commit(trainer, number, plan);
        // The commit phase closes early when all have committed.
        Plan memory other = _honest(number);
        _commit(trainers[1], number, other);
    }

    function _honest(uint64 number) private pure returns (Plan memory plan) {
        plan.digest = keccak256(abi.encode("other", number));
    }

    function _expectMismatch(uint256 step, uint256 expected, uint256 actual) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                IFedproofHub.StateCommitmentMismatch.selector,
                step,
                0,
                _full(_vector(expected))[0],
                _full(_vector(actual))[0]
            )
        );
    }
}
