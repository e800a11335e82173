// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";
import {Vectors} from "../points/Vectors.sol";
import {Point} from "../points/Point.sol";
import {ICircuitVerifier} from "../verifiers/ICircuitVerifier.sol";
import {IFedproofHub} from "./IFedproofHub.sol";
import {HubStorage} from "./HubStorage.sol";

/// @title Registration of models, trainers and datasets
abstract contract HubModels is HubStorage {
    using Vectors for Point[];

    /// @notice How many models have been registered.
    uint256 public modelCount;

    /// @dev Weights up to 64 bits leave a weighted sum of anything that can be proven far below the group order.
    uint256 private constant MAX_WEIGHT_BITS = 64;

    /// @inheritdoc IFedproofHub
    function registerModel(ModelConfig calldata config) external returns (bytes32 modelId) {
        _validate(config);
        modelId = keccak256(abi.encode(block.chainid, address(this), ++modelCount));
        ModelState storage model = _newModel(modelId);
        model.owner = msg.sender;
        for (uint256 i = 0; i < config.guardians.length; ++i) {
            address guardian = config.guardians[i];
            if (guardian == address(0) || model.guardians[guardian]) {
                revert InvalidModelConfig("guardians", i);
            }
            model.guardians[guardian] = true;
        }
        _storeConfig(model.config, config);
        emit ModelRegistered(modelId, msg.sender);
    }

    /// @inheritdoc IFedproofHub
    function admitTrainer(bytes32 modelId, address account) external {
        ModelState storage model = _modelForAdmission(modelId);
        if (model.trainers[account].admitted) revert AlreadyAdmitted(modelId, account);
        model.trainers[account].admitted = true;
        model.trainerCount += 1;
        emit TrainerAdmitted(modelId, account);
    }

    /// @inheritdoc IFedproofHub
    function removeTrainer(bytes32 modelId, address account) external {
        ModelState storage model = _modelForAdmission(modelId);
        if (!model.trainers[account].admitted) revert NotAdmitted(modelId, account);
        model.trainers[account].admitted = false;
        model.trainerCount -= 1;
        emit TrainerRemoved(modelId, account);
    }

    /// @inheritdoc IFedproofHub
    function registerDataset(bytes32 modelId, bytes32 root) external {
        ModelState storage model = _model(modelId);
        TrainerView storage entry = model.trainers[msg.sender];
        if (!entry.admitted) revert NotAdmitted(modelId, msg.sender);
        if (root == 0) revert EmptyDatasetRoot();
        uint64 number = model.latestRound;
        RoundState storage state = model.rounds[number];
        if (_isOpen(state) && state.digests[msg.sender] != 0) {
            revert DatasetInUse(modelId, number, msg.sender);
        }
        entry.datasetRoot = root;
        entry.datasetFrom = number + 1;
        emit DatasetRegistered(modelId, msg.sender, root, number + 1);
    }

    /// @dev The set of trainers stands still while commits are taken: the phase closes early by counting them.
    function _modelForAdmission(bytes32 modelId) private view returns (ModelState storage model) {
        model = _model(modelId);
        if (msg.sender != model.owner) revert NotModelOwner(modelId, msg.sender);
        uint64 number = model.latestRound;
        if (_phaseOf(model.rounds[number]) == Phase.Commit) revert CommitPhaseInProgress(modelId, number);
    }

    function _validate(ModelConfig calldata config) private view {
        uint256 vector = config.vectorColumns;
        _require(vector != 0, "vectorColumns", vector);
        _require(config.batchColumns != 0, "batchColumns", config.batchColumns);
        _require(config.genesis.length == vector, "genesis", config.genesis.length);
        _require(config.ones.length == vector, "ones", config.ones.length);
        for (uint256 i = 0; i < vector; ++i) {
            BN254.requireOnCurve(config.genesis[i]);
            BN254.requireOnCurve(config.ones[i]);
            // Without the half that P(1) adds, rounding would not be to the nearest.
            _require(config.ones[i].y != 0, "ones", i);
        }
        BN254.requireOnCurve(config.tail);
        uint256 vectors = config.stateful ? 4 : 2;
        _requireCommitments("stepVerifier", config.stepVerifier, vectors * vector + config.batchColumns);
        _requireCommitments("aggregateVerifier", config.aggregateVerifier, 2 * vector);
        _require(config.samplesPerStep != 0, "samplesPerStep", 0);
        _require(
            config.weightBits != 0 && config.weightBits <= MAX_WEIGHT_BITS, "weightBits", config.weightBits
        );
        _require(config.minTrainers != 0, "minTrainers", 0);
        _require(config.maxTrainers >= config.minTrainers, "maxTrainers", config.maxTrainers);
        _require(config.maxSteps != 0, "maxSteps", 0);
        _require(config.commitPeriod != 0, "commitPeriod", 0);
        _require(config.submitPeriod != 0, "submitPeriod", 0);
        _require(config.finalizePeriod != 0, "finalizePeriod", 0);
        uint256 threshold = config.guardianThreshold;
        _require(threshold != 0 && threshold <= config.guardians.length, "guardianThreshold", threshold);
    }

    function _requireCommitments(bytes32 field, ICircuitVerifier verifier, uint256 needed) private view {
        _require(address(verifier).code.length != 0, field, uint160(address(verifier)));
        uint256 count = verifier.commitmentCount();
        _require(count >= needed, field, count);
    }

    function _require(bool valid, bytes32 field, uint256 value) private pure {
        if (!valid) revert InvalidModelConfig(field, value);
    }

    function _storeConfig(ModelConfig storage stored, ModelConfig calldata config) private {
        stored.genesis.store(config.genesis);
        stored.ones.store(config.ones);
        stored.tail = config.tail;
        stored.vectorColumns = config.vectorColumns;
        stored.batchColumns = config.batchColumns;
        stored.stepVerifier = config.stepVerifier;
        stored.aggregateVerifier = config.aggregateVerifier;
        stored.stateful = config.stateful;
        stored.samplesPerStep = config.samplesPerStep;
        stored.weightBits = config.weightBits;
        stored.minTrainers = config.minTrainers;
        stored.maxTrainers = config.maxTrainers;
        stored.maxSteps = config.maxSteps;
        stored.commitPeriod = config.commitPeriod;
        stored.submitPeriod = config.submitPeriod;
        stored.finalizePeriod = config.finalizePeriod;
        stored.guardians = config.guardians;
        stored.guardianThreshold = config.guardianThreshold;
        stored.bond = config.bond;
    }
}
