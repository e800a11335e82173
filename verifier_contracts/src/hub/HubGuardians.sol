// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IFedproofHub} from "./IFedproofHub.sol";
import {HubStorage} from "./HubStorage.sol";

/// @title What a threshold of guardians may do: leave a submission out, roll a round back
abstract contract HubGuardians is HubStorage, EIP712 {
    bytes32 private constant LEAVE_OUT =
        keccak256("LeaveOut(bytes32 modelId,uint64 round,address trainer,string reason)");
    bytes32 private constant ROLL_BACK = keccak256("RollBack(bytes32 modelId,uint64 round)");

    constructor() EIP712("Fedproof", "1") {}

    /// @inheritdoc IFedproofHub
    function leaveOut(
        bytes32 modelId,
        uint64 number,
        address account,
        string calldata reason,
        bytes[] calldata signatures
    ) external {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        Phase phase = _phaseOf(state);
        if (phase != Phase.Submit) _requirePhase(modelId, number, state, Phase.Finalize);
        uint256 place = state.places[account];
        if (place == 0) revert NotSubmitted(modelId, number, account);
        Submission storage submission = state.submissions[place - 1];
        if (submission.leftOut) revert AlreadyLeftOut(modelId, number, account);
        _requireGuardians(model, leaveOutDigest(modelId, number, account, reason), signatures);
        submission.leftOut = true;
        state.leftOut += 1;
        state.totalSteps -= submission.steps;
        emit LeftOut(modelId, number, account, reason);
    }

    /// @inheritdoc IFedproofHub
    function rollBack(bytes32 modelId, uint64 number, bytes[] calldata signatures) external {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        if (model.rollable != number) revert NotRollable(modelId, number);
        _requireGuardians(model, rollBackDigest(modelId, number), signatures);
        RoundState storage newest = model.rounds[model.latestRound];
        if (_isOpen(newest)) _cancel(modelId, model.latestRound, newest);
        state.outcome = Outcome.RolledBack;
        model.rollable = 0;
        model.currentRound = state.parent;
        emit RoundRolledBack(modelId, number, state.parent);
    }

    /// @inheritdoc IFedproofHub
    function leaveOutDigest(bytes32 modelId, uint64 number, address account, string calldata reason)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(
            keccak256(abi.encode(LEAVE_OUT, modelId, number, account, keccak256(bytes(reason))))
        );
    }

    /// @inheritdoc IFedproofHub
    function rollBackDigest(bytes32 modelId, uint64 number) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ROLL_BACK, modelId, number)));
    }

    function _requireGuardians(ModelState storage model, bytes32 digest, bytes[] calldata signatures)
        private
        view
    {
        uint256 threshold = model.config.guardianThreshold;
        if (signatures.length < threshold) revert TooFewSignatures(threshold, signatures.length);
        address previous;
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = ECDSA.recoverCalldata(digest, signatures[i]);
            if (!model.guardians[signer]) revert NotAGuardian(signer);
            if (signer <= previous) revert SignersNotAscending(previous, signer);
            previous = signer;
        }
    }
}
