// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../points/Point.sol";
import {IFedproofHub} from "./IFedproofHub.sol";
import {HubStorage} from "./HubStorage.sol";

/// @title What a client reads
abstract contract HubViews is HubStorage {
    /// @inheritdoc IFedproofHub
    function modelOf(bytes32 modelId) external view returns (ModelView memory) {
        ModelState storage model = _model(modelId);
        return ModelView({
            owner: model.owner,
            trainerCount: model.trainerCount,
            latestRound: model.latestRound,
            currentRound: model.currentRound,
            current: _resultOf(model, model.currentRound),
            config: model.config
        });
    }

    /// @inheritdoc IFedproofHub
    function roundOf(bytes32 modelId, uint64 number) external view returns (RoundView memory) {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        return RoundView({
            phase: _phaseOf(state),
            parent: state.parent,
            commitEndsAt: state.commitEndsAt,
            submitEndsAt: state.submitEndsAt,
            finalizeEndsAt: state.finalizeEndsAt,
            committed: state.committed,
            submitted: uint32(state.submissions.length),
            leftOut: state.leftOut,
            totalSteps: state.totalSteps,
            finalizer: state.finalizer,
            modelHash: state.modelHash,
            base: _resultOf(model, state.parent),
            result: state.result
        });
    }

    /// @inheritdoc IFedproofHub
    function phaseOf(bytes32 modelId, uint64 number) external view returns (Phase) {
        return _phaseOf(_model(modelId).rounds[number]);
    }

    /// @inheritdoc IFedproofHub
    function latestRoundOf(bytes32 modelId) external view returns (uint64) {
        return _model(modelId).latestRound;
    }

    /// @inheritdoc IFedproofHub
    function trainerOf(bytes32 modelId, address account) external view returns (TrainerView memory) {
        return _model(modelId).trainers[account];
    }

    /// @inheritdoc IFedproofHub
    function commitOf(bytes32 modelId, uint64 number, address account) external view returns (bytes32) {
        return _model(modelId).rounds[number].digests[account];
    }

    /// @inheritdoc IFedproofHub
    function submissionsOf(bytes32 modelId, uint64 number)
        external
        view
        returns (SubmissionView[] memory list)
    {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        uint256 columns = model.config.vectorColumns;
        list = new SubmissionView[](state.submissions.length);
        for (uint256 i = 0; i < list.length; ++i) {
            Submission memory submission = state.submissions[i];
            Point[] memory update = new Point[](columns);
            for (uint256 c = 0; c < columns; ++c) {
                update[c] = state.updates[i * columns + c];
            }
            list[i] = SubmissionView({
                trainer: submission.trainer,
                steps: submission.steps,
                leftOut: submission.leftOut,
                samples: uint256(submission.steps) * model.config.samplesPerStep,
                update: update
            });
        }
    }

    /// @inheritdoc IFedproofHub
    function modelHashOf(bytes32 modelId, uint64 number) external view returns (bytes32) {
        (, RoundState storage state) = _modelAndRound(modelId, number);
        _requirePhase(modelId, number, state, Phase.Finalized);
        return state.modelHash;
    }

    /// @inheritdoc IFedproofHub
    function isStepUsed(bytes32 modelId, bytes32 commitment) external view returns (bool) {
        return _model(modelId).usedSteps[commitment];
    }
}
