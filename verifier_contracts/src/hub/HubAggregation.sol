// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";
import {Point} from "../points/Point.sol";
import {Vectors} from "../points/Vectors.sol";
import {IFedproofHub} from "./IFedproofHub.sol";
import {HubStorage} from "./HubStorage.sol";
import {Weights} from "./Weights.sol";

/// @title Weights, the weighted sum of commitments, and finalize
abstract contract HubAggregation is HubStorage {
    using Vectors for Point[];

    /// @inheritdoc IFedproofHub
    function finalize(bytes32 modelId, uint64 number, bytes calldata proof, bytes32[] calldata vka) external {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        _requirePhase(modelId, number, state, Phase.Finalize);
        uint256 included = _included(state);
        if (included < model.config.minTrainers) {
            revert TooFewSubmissions(modelId, number, model.config.minTrainers, included);
        }
        Point[] memory delta = _provenDelta(model, state, _contextOf(modelId, number, address(0)), proof, vka);
        Point[] memory result = _resultOf(model, state.parent).add(delta);
        bytes32 hash = keccak256(abi.encode(modelId, number, result));
        state.outcome = Outcome.Finalized;
        state.finalizer = msg.sender;
        state.modelHash = hash;
        state.result.store(result);
        model.currentRound = number;
        model.rollable = number;
        emit RoundFinalized(modelId, number, msg.sender, hash, delta, result);
        _forfeit(modelId, number, model, state);
    }

    /// @dev Verifies the aggregation proof against the stored updates; its commitments are remainder and delta.
    /// @return delta P(Δ).
    function _provenDelta(
        ModelState storage model,
        RoundState storage state,
        bytes32 context,
        bytes calldata proof,
        bytes32[] calldata vka
    ) private view returns (Point[] memory delta) {
        uint256 columns = model.config.vectorColumns;
        Point[] memory commitments = model.config.aggregateVerifier.verify(context, proof, vka);
        delta = commitments.slice(columns, columns).shift(BN254.neg(model.config.tail));
        Point[] memory expected = _remainder(model, state, delta);
        uint256 column = expected.firstDifference(commitments);
        if (column != columns) revert RemainderMismatch(column, expected[column], commitments[column]);
    }

    /// @dev C(ρ + 1), from P(ρ + 1) = P(S) + (2^(t-1) + 1)·P(1) - 2^t·P(Δ): a circuit commits to the rows of its
    /// lookup table, which start at one.
    function _remainder(ModelState storage model, RoundState storage state, Point[] memory delta)
        private
        view
        returns (Point[] memory)
    {
        uint256 bits = model.config.weightBits;
        Point[] memory shift = Vectors.scale(model.config.ones, (1 << (bits - 1)) + 1);
        Point[] memory rounded = _weightedSum(model, state).add(shift);
        return rounded.sub(delta.scale(1 << bits)).shift(model.config.tail);
    }

    /// @dev Whoever committed and did not submit pays whoever finalized.
    function _forfeit(bytes32 modelId, uint64 number, ModelState storage model, RoundState storage state)
        private
    {
        uint256 forfeited = (state.committed - state.submissions.length) * model.config.bond;
        if (forfeited == 0) return;
        _owed[msg.sender] += forfeited;
        emit BondsForfeited(modelId, number, msg.sender, forfeited);
    }

    /// @dev P(S) = Σ Wᵢ·P(uᵢ).
    function _weightedSum(ModelState storage model, RoundState storage state)
        private
        view
        returns (Point[] memory sum)
    {
        uint256 columns = model.config.vectorColumns;
        uint256[] memory weights = _weights(model, state);
        sum = Vectors.zero(columns);
        for (uint256 i = 0; i < weights.length; ++i) {
            if (weights[i] == 0) continue;
            for (uint256 c = 0; c < columns; ++c) {
                Point memory term = BN254.mul(state.updates[i * columns + c], weights[i]);
                sum[c] = BN254.add(sum[c], term);
            }
        }
    }

    /// @dev The weight of every submission, zero for one left out. The samples of a step are a common factor of all
    /// weights and cancel.
    function _weights(ModelState storage model, RoundState storage state)
        private
        view
        returns (uint256[] memory weights)
    {
        uint256 bits = model.config.weightBits;
        uint256 total = state.totalSteps;
        uint256 cumulative;
        uint256 below;
        weights = new uint256[](state.submissions.length);
        for (uint256 i = 0; i < weights.length; ++i) {
            Submission storage submission = state.submissions[i];
            if (submission.leftOut) continue;
            cumulative += submission.steps;
            uint256 upTo = Weights.upTo(cumulative, total, bits);
            weights[i] = upTo - below;
            below = upTo;
        }
    }

    /// @inheritdoc IFedproofHub
    function weightedSumOf(bytes32 modelId, uint64 number) external view returns (Point[] memory) {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        return _weightedSum(model, state);
    }

    /// @inheritdoc IFedproofHub
    function weightsOf(bytes32 modelId, uint64 number) external view returns (uint256[] memory) {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        return _weights(model, state);
    }
}
