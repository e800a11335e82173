// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {FedproofHub} from "../../src/hub/FedproofHub.sol";
import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {HubWorld} from "../kit/HubWorld.sol";

/// @dev Registration of models, trainers and datasets.
contract ModelsTest is HubWorld {
    function setUp() external {
        _setUpWorld(2);
    }

    function test_theConfigurationIsStoredAsGiven() external view {
        IFedproofHub.ModelView memory model = hub.modelOf(modelId);
        vm.assertEq(model.owner, owner);
        vm.assertEq(model.trainerCount, 2);
        vm.assertEq(model.currentRound, 0);
        vm.assertEq(keccak256(abi.encode(model.config)), keccak256(abi.encode(_config())));
        assertPoints(model.current, _vector(GENESIS));
    }

    function test_identifiersDiffer() external {
        vm.assertTrue(_register(_config()) != modelId);
        vm.assertEq(hub.modelCount(), 2);
    }

    function test_rejects_configurationsThatCannotWork() external {
        IFedproofHub.ModelConfig memory config = _config();
        config.vectorColumns = 0;
        _expectInvalid(config, "vectorColumns", 0);
        config = _config();
        config.batchColumns = 0;
        _expectInvalid(config, "batchColumns", 0);
        config = _config();
        config.genesis = new Point[](2);
        _expectInvalid(config, "genesis", 2);
        config = _config();
        config.ones = new Point[](0);
        _expectInvalid(config, "ones", 0);
        config = _config();
        config.ones[0] = Point(0, 0);
        _expectInvalid(config, "ones", 0);
        config = _config();
        config.stepVerifier = ICircuitVerifier(stranger);
        _expectInvalid(config, "stepVerifier", uint160(stranger));
        config = _config();
        config.stepVerifier = config.aggregateVerifier;
        _expectInvalid(config, "stepVerifier", 2);
        config = _config();
        config.aggregateVerifier = ICircuitVerifier(address(0));
        _expectInvalid(config, "aggregateVerifier", 0);
        config = _config();
        config.samplesPerStep = 0;
        _expectInvalid(config, "samplesPerStep", 0);
        config = _config();
        config.weightBits = 0;
        _expectInvalid(config, "weightBits", 0);
        config.weightBits = 65;
        _expectInvalid(config, "weightBits", 65);
        config = _config();
        config.minTrainers = 0;
        _expectInvalid(config, "minTrainers", 0);
        config = _config();
        config.maxTrainers = 1;
        _expectInvalid(config, "maxTrainers", 1);
        config = _config();
        config.maxSteps = 0;
        _expectInvalid(config, "maxSteps", 0);
        config = _config();
        config.commitPeriod = 0;
        _expectInvalid(config, "commitPeriod", 0);
        config = _config();
        config.submitPeriod = 0;
        _expectInvalid(config, "submitPeriod", 0);
        config = _config();
        config.finalizePeriod = 0;
        _expectInvalid(config, "finalizePeriod", 0);
        config = _config();
        config.guardianThreshold = 0;
        _expectInvalid(config, "guardianThreshold", 0);
        config.guardianThreshold = 4;
        _expectInvalid(config, "guardianThreshold", 4);
        config = _config();
        config.guardians[1] = config.guardians[0];
        _expectInvalid(config, "guardians", 1);
        config.guardians[1] = address(0);
        _expectInvalid(config, "guardians", 1);
    }

    function test_rejects_pointsOffTheCurve() external {
        IFedproofHub.ModelConfig memory config = _config();
        config.tail = Point(1, 3);
        vm.expectRevert(abi.encodeWithSelector(BN254.NotOnCurve.selector, 1, 3));
        hub.registerModel(config);
        config = _config();
        config.genesis[0] = Point(1, 3);
        vm.expectRevert(abi.encodeWithSelector(BN254.NotOnCurve.selector, 1, 3));
        hub.registerModel(config);
    }

    function test_rejects_anUnknownModel() external {
        bytes32 unknown = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.UnknownModel.selector, unknown));
        hub.openRound(unknown);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.UnknownModel.selector, unknown));
        hub.modelOf(unknown);
    }

    function test_rejects_admissionByAnyoneButTheOwner() external {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotModelOwner.selector, modelId, stranger));
        hub.admitTrainer(modelId, stranger);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotModelOwner.selector, modelId, stranger));
        hub.removeTrainer(modelId, trainers[0]);
    }

    function test_rejects_admittingTwiceAndRemovingAStranger() external {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.AlreadyAdmitted.selector, modelId, trainers[0]));
        hub.admitTrainer(modelId, trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotAdmitted.selector, modelId, stranger));
        hub.removeTrainer(modelId, stranger);
        vm.stopPrank();
    }

    function test_rejects_admissionWhileCommitsAreTaken() external {
        uint64 round = _open();
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.CommitPhaseInProgress.selector, modelId, round));
        hub.admitTrainer(modelId, stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.CommitPhaseInProgress.selector, modelId, round));
        hub.removeTrainer(modelId, trainers[0]);
        vm.stopPrank();
    }

    function test_aTrainerRemovedAfterItsCommitStillSubmits() external {
        uint64 round = _open();
        Plan[2] memory plans = [_plan(trainers[0], round, GENESIS, 1), _plan(trainers[1], round, GENESIS, 1)];
        _commit(trainers[0], round, plans[0]);
        _commit(trainers[1], round, plans[1]);
        vm.prank(owner);
        hub.removeTrainer(modelId, trainers[0]);
        _submit(trainers[0], round, plans[0]);
        vm.assertEq(hub.roundOf(modelId, round).submitted, 1);
    }

    function test_rejects_aDatasetOfAStrangerOrAnEmptyOne() external {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotAdmitted.selector, modelId, stranger));
        hub.registerDataset(modelId, bytes32(uint256(1)));
        vm.prank(trainers[0]);
        vm.expectRevert(IFedproofHub.EmptyDatasetRoot.selector);
        hub.registerDataset(modelId, 0);
    }

    function test_rejects_aCommitWithoutADataset() external {
        vm.prank(owner);
        hub.admitTrainer(modelId, stranger);
        uint64 round = _open();
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NoDataset.selector, modelId, stranger));
        hub.commit{value: BOND}(modelId, round, bytes32(uint256(1)));
    }

    function test_rejects_openingARoundByAStranger() external {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.NotAdmitted.selector, modelId, stranger));
        hub.openRound(modelId);
        vm.prank(trainers[1]);
        hub.openRound(modelId);
    }

    function test_rejects_aSecondOpenRound() external {
        uint64 round = _open();
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.RoundInProgress.selector, modelId, round));
        hub.openRound(modelId);
    }

    function test_rejects_aRoundWithTooFewTrainers() external {
        vm.startPrank(owner);
        hub.removeTrainer(modelId, trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.TooFewTrainers.selector, modelId, 2, 1));
        hub.openRound(modelId);
        vm.stopPrank();
    }

    function test_theHubFitsIntoAContract() external view {
        vm.assertLe(address(hub).code.length, 24_576, "EIP-170");
    }

    function _expectInvalid(IFedproofHub.ModelConfig memory config, bytes32 field, uint256 value) private {
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.InvalidModelConfig.selector, field, value));
        hub.registerModel(config);
    }
}
