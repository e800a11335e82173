// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BN254} from "../points/BN254.sol";
import {Point} from "../points/Point.sol";
import {Vectors} from "../points/Vectors.sol";
import {IFedproofHub} from "./IFedproofHub.sol";
import {HubStorage} from "./HubStorage.sol";

/// @title A round up to its submissions: open, commit, submit, cancel
abstract contract HubRounds is HubStorage {
    using Vectors for Point[];

    /// @dev A walk along a trainer's chain of steps.
    /// @param round The round, and `step`: the index of the step at hand.
    /// @param context What every proof of the walk is bound to.
    /// @param minusTail -T.
    /// @param expected C of the model the step must start from.
    /// @param state C of the optimiser's state the step must start from; empty if it has none.
    /// @param commitments What the step's proof commits to: model, batch, step, the optimiser's state before and
    /// after if it has one, and what the hub ignores.
    /// @param revealed Batch and step commitments so far, as the commit digest lists them.
    struct Walk {
        uint64 round;
        uint256 step;
        bytes32 context;
        Point minusTail;
        Point[] expected;
        Point[] state;
        Point[] commitments;
        Point[] revealed;
    }

    /// @inheritdoc IFedproofHub
    function openRound(bytes32 modelId) external returns (uint64 number) {
        ModelState storage model = _model(modelId);
        if (msg.sender != model.owner && !model.trainers[msg.sender].admitted) {
            revert NotAdmitted(modelId, msg.sender);
        }
        number = model.latestRound;
        if (_isOpen(model.rounds[number])) revert RoundInProgress(modelId, number);
        if (model.trainerCount < model.config.minTrainers) {
            revert TooFewTrainers(modelId, model.config.minTrainers, model.trainerCount);
        }
        model.latestRound = ++number;
        RoundState storage state = model.rounds[number];
        state.outcome = Outcome.Open;
        state.parent = model.currentRound;
        _setCommitEnd(model, state, uint64(block.timestamp) + model.config.commitPeriod);
        emit RoundOpened(modelId, number, state.parent, state.commitEndsAt);
    }

    /// @inheritdoc IFedproofHub
    function commit(bytes32 modelId, uint64 number, bytes32 digest) external payable {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        _requirePhase(modelId, number, state, Phase.Commit);
        TrainerView storage entry = model.trainers[msg.sender];
        if (!entry.admitted) revert NotAdmitted(modelId, msg.sender);
        if (entry.datasetFrom == 0) revert NoDataset(modelId, msg.sender);
        if (entry.datasetFrom > number) revert DatasetTooNew(msg.sender, entry.datasetFrom, number);
        if (digest == 0) revert EmptyDigest();
        if (state.digests[msg.sender] != 0) revert AlreadyCommitted(modelId, number, msg.sender);
        if (msg.value != model.config.bond) revert WrongBond(model.config.bond, msg.value);
        uint32 committed = ++state.committed;
        state.digests[msg.sender] = digest;
        emit Committed(modelId, number, msg.sender, digest);
        if (committed == model.trainerCount || committed == model.config.maxTrainers) {
            _setCommitEnd(model, state, uint64(block.timestamp));
            emit PhaseClosed(modelId, number, Phase.Commit);
        }
    }

    /// @inheritdoc IFedproofHub
    function submit(
        bytes32 modelId,
        uint64 number,
        bytes32 nonce,
        StepProof[] calldata steps,
        bytes32[] calldata vka
    ) external {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        _requirePhase(modelId, number, state, Phase.Submit);
        bytes32 digest = state.digests[msg.sender];
        if (digest == 0) revert NotCommitted(modelId, number, msg.sender);
        if (state.places[msg.sender] != 0) revert AlreadySubmitted(modelId, number, msg.sender);
        if (steps.length == 0 || steps.length > model.config.maxSteps) {
            revert WrongStepCount(model.config.maxSteps, steps.length);
        }
        Point[] memory update;
        {
            Walk memory walk;
            walk.round = number;
            walk.context = _contextOf(modelId, number, msg.sender);
            update = _follow(model, walk, steps, vka);
            bytes32 actual = keccak256(abi.encode(modelId, number, msg.sender, nonce, walk.revealed));
            if (actual != digest) revert CommitDigestMismatch(digest, actual);
        }
        _accept(modelId, number, uint32(steps.length), update);
    }

    /// @inheritdoc IFedproofHub
    function cancel(bytes32 modelId, uint64 number) external {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        Phase phase = _phaseOf(state);
        if (!_isOpen(state)) revert WrongPhase(modelId, number, Phase.Expired, phase);
        uint256 minimum = model.config.minTrainers;
        bool possible = phase == Phase.Commit || (phase == Phase.Submit && state.committed >= minimum)
            || (phase == Phase.Finalize && _included(state) >= minimum);
        if (possible) revert RoundStillPossible(modelId, number);
        _cancel(modelId, number, state);
    }

    /// @dev Verifies the steps and follows the chain from the round's model; `walk` knows its round and context.
    /// @return P(u) = P(last model) - P(first model).
    function _follow(
        ModelState storage model,
        Walk memory walk,
        StepProof[] calldata steps,
        bytes32[] calldata vka
    ) private returns (Point[] memory) {
        ModelConfig storage config = model.config;
        walk.minusTail = BN254.neg(config.tail);
        walk.revealed = new Point[](steps.length * (uint256(config.vectorColumns) + config.batchColumns));
        Point[] memory start = _resultOf(model, model.rounds[walk.round].parent).shift(config.tail);
        walk.expected = start;
        if (config.stateful) walk.state = Vectors.zero(start.length).shift(config.tail);
        for (; walk.step < steps.length; ++walk.step) {
            StepProof calldata step = steps[walk.step];
            walk.commitments = config.stepVerifier.verify(walk.context, step.proof, vka);
            _take(model, walk, step.batchPath);
        }
        return walk.expected.sub(start);
    }

    /// @dev Checks the links of one step, and moves the walk to the model after it.
    function _take(ModelState storage model, Walk memory walk, bytes32[] calldata batchPath) private {
        uint256 vector = model.config.vectorColumns;
        uint256 batch = model.config.batchColumns;
        uint256 column = walk.expected.firstDifference(walk.commitments);
        if (column != vector) {
            revert ModelCommitmentMismatch(walk.step, column, walk.expected[column], walk.commitments[column]);
        }
        for (uint256 i = 0; i < batch + vector; ++i) {
            walk.revealed[walk.step * (batch + vector) + i] = walk.commitments[vector + i];
        }
        _useBatch(model, walk, walk.commitments.slice(vector, batch).shift(walk.minusTail).key(), batchPath);
        Point[] memory delta = walk.commitments.slice(vector + batch, vector).shift(walk.minusTail);
        bytes32 key = delta.key();
        if (model.usedSteps[key]) revert StepAlreadyUsed(walk.step, key);
        model.usedSteps[key] = true;
        walk.expected = walk.expected.sub(delta);
        if (walk.state.length != 0) _takeState(walk, 2 * vector + batch);
    }

    /// @dev Checks that the step starts from the state at hand, and moves to the one after it; `start` is the index
    /// of the step's own among its commitments.
    function _takeState(Walk memory walk, uint256 start) private pure {
        Point[] memory state = walk.state;
        Point[] memory actual = walk.commitments.slice(start, state.length);
        uint256 column = state.firstDifference(actual);
        if (column != state.length) {
            revert StateCommitmentMismatch(walk.step, column, state[column], actual[column]);
        }
        walk.state = walk.commitments.slice(start + state.length, state.length);
    }

    function _useBatch(ModelState storage model, Walk memory walk, bytes32 key, bytes32[] calldata path)
        private
    {
        bytes32 root = model.trainers[msg.sender].datasetRoot;
        // Hashed twice, so that an inner node of the tree is never a leaf.
        bytes32 leaf = keccak256(bytes.concat(key));
        if (!MerkleProof.verifyCalldata(path, root, leaf)) revert BatchNotInDataset(walk.step, leaf, root);
        if (model.usedBatches[key] == walk.round) revert BatchAlreadyUsed(walk.step, key);
        model.usedBatches[key] = walk.round;
    }

    function _accept(bytes32 modelId, uint64 number, uint32 steps, Point[] memory update) private {
        ModelState storage model = _model(modelId);
        RoundState storage state = model.rounds[number];
        state.submissions.push(Submission({trainer: msg.sender, steps: steps, leftOut: false}));
        uint256 submitted = state.submissions.length;
        state.places[msg.sender] = submitted;
        state.updates.store(update);
        state.totalSteps += steps;
        emit Submitted(modelId, number, msg.sender, steps, update);
        uint256 bond = model.config.bond;
        _owed[msg.sender] += bond;
        emit BondReleased(modelId, number, msg.sender, bond);
        if (submitted == state.committed) {
            _setSubmitEnd(model, state, uint64(block.timestamp));
            emit PhaseClosed(modelId, number, Phase.Submit);
        }
    }

    function _setCommitEnd(ModelState storage model, RoundState storage state, uint64 end) private {
        state.commitEndsAt = end;
        _setSubmitEnd(model, state, end + model.config.submitPeriod);
    }

    function _setSubmitEnd(ModelState storage model, RoundState storage state, uint64 end) private {
        state.submitEndsAt = end;
        state.finalizeEndsAt = end + model.config.finalizePeriod;
    }
}
