// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {IFedproofHub} from "./IFedproofHub.sol";
import {HubStorage} from "./HubStorage.sol";

/// @title Bonds: credited by the rounds, paid out on request
abstract contract HubBonds is HubStorage {
    /// @inheritdoc IFedproofHub
    function reclaimBond(bytes32 modelId, uint64 number, address account) external {
        (ModelState storage model, RoundState storage state) = _modelAndRound(modelId, number);
        bool due =
            state.outcome == Outcome.Cancelled && state.digests[account] != 0 && state.places[account] == 0;
        if (!due) revert NoBondToReclaim(modelId, number, account);
        delete state.digests[account];
        uint256 bond = model.config.bond;
        _owed[account] += bond;
        emit BondReleased(modelId, number, account, bond);
    }

    /// @inheritdoc IFedproofHub
    function withdraw() external returns (uint256 amount) {
        amount = _owed[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        delete _owed[msg.sender];
        emit Withdrawn(msg.sender, amount);
        Address.sendValue(payable(msg.sender), amount);
    }

    /// @inheritdoc IFedproofHub
    function owedTo(address account) external view returns (uint256) {
        return _owed[account];
    }
}
