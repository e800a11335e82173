// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../points/Point.sol";
import {IFedproofHub} from "./IFedproofHub.sol";

/// @title What the parts of the hub share: state, look-ups and the clock of a round
abstract contract HubStorage is IFedproofHub {
    enum Outcome {
        None,
        Open,
        Finalized,
        Cancelled,
        RolledBack
    }

    struct Submission {
        address trainer;
        uint32 steps;
        bool leftOut;
    }

    struct RoundState {
        Outcome outcome;
        uint64 commitEndsAt;
        uint64 submitEndsAt;
        uint64 finalizeEndsAt;
        uint32 committed;
        uint32 leftOut;
        uint64 parent;
        uint64 totalSteps;
        address finalizer;
        bytes32 modelHash;
        Point[] result;
        mapping(address trainer => bytes32) digests;
        /// Index into `submissions`, plus one; zero is none.
        mapping(address trainer => uint256) places;
        Submission[] submissions;
        /// P(u) of every submission, `vectorColumns` points each: one array, so that no lengths are stored.
        Point[] updates;
    }

    struct ModelState {
        address owner;
        uint32 trainerCount;
        uint64 latestRound;
        uint64 currentRound;
        /// The one round that may be rolled back; zero is none.
        uint64 rollable;
        ModelConfig config;
        mapping(address guardian => bool) guardians;
        mapping(address trainer => TrainerView) trainers;
        mapping(uint64 number => RoundState) rounds;
        mapping(bytes32 commitment => bool) usedSteps;
        /// The last round in which a batch was used.
        mapping(bytes32 commitment => uint64) usedBatches;
    }

    mapping(bytes32 modelId => ModelState) private _models;
    mapping(address account => uint256) internal _owed;

    /// @dev The state of a registered model.
    function _model(bytes32 modelId) internal view returns (ModelState storage model) {
        model = _models[modelId];
        if (model.owner == address(0)) revert UnknownModel(modelId);
    }

    /// @dev The place where a new model's state goes.
    function _newModel(bytes32 modelId) internal view returns (ModelState storage) {
        return _models[modelId];
    }

    /// @dev A round that has been opened, with its model.
    function _modelAndRound(bytes32 modelId, uint64 number)
        internal
        view
        returns (ModelState storage model, RoundState storage state)
    {
        model = _model(modelId);
        state = model.rounds[number];
        if (state.outcome == Outcome.None) revert UnknownRound(modelId, number);
    }

    /// @dev What a proof for this round is bound to, if its circuit has a challenge: the trainer of a step; zero for
    /// an average, which is anybody's.
    function _contextOf(bytes32 modelId, uint64 number, address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(modelId, number, account));
    }

    /// @dev P(M) of the model a round produced; round 0 is the genesis.
    function _resultOf(ModelState storage model, uint64 number) internal view returns (Point[] memory) {
        return number == 0 ? model.config.genesis : model.rounds[number].result;
    }

    function _phaseOf(RoundState storage state) internal view returns (Phase) {
        Outcome outcome = state.outcome;
        if (outcome == Outcome.None) return Phase.None;
        if (outcome == Outcome.Finalized) return Phase.Finalized;
        if (outcome == Outcome.Cancelled) return Phase.Cancelled;
        if (outcome == Outcome.RolledBack) return Phase.RolledBack;
        if (block.timestamp < state.commitEndsAt) return Phase.Commit;
        if (block.timestamp < state.submitEndsAt) return Phase.Submit;
        if (block.timestamp < state.finalizeEndsAt) return Phase.Finalize;
        return Phase.Expired;
    }

    function _requirePhase(bytes32 modelId, uint64 number, RoundState storage state, Phase expected)
        internal
        view
    {
        Phase actual = _phaseOf(state);
        if (actual != expected) revert WrongPhase(modelId, number, expected, actual);
    }

    /// @dev Submissions that count.
    function _included(RoundState storage state) internal view returns (uint256) {
        return state.submissions.length - state.leftOut;
    }

    function _cancel(bytes32 modelId, uint64 number, RoundState storage state) internal {
        state.outcome = Outcome.Cancelled;
        emit RoundCancelled(modelId, number);
    }

    function _isOpen(RoundState storage state) internal view returns (bool) {
        return state.outcome == Outcome.Open;
    }
}
