// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {
    MessagingFee,
    MessagingReceipt,
    OAppSender
} from "@layerzerolabs/oapp-evm/contracts/oapp/OAppSender.sol";
import {OAppCore} from "@layerzerolabs/oapp-evm/contracts/oapp/OAppCore.sol";
import {OAppOptionsType3} from "@layerzerolabs/oapp-evm/contracts/oapp/libs/OAppOptionsType3.sol";
import {IFedproofHub} from "../hub/IFedproofHub.sol";
import {ModelPayload} from "./ModelPayload.sol";

/// @title Sends a finalized model hash to Ethereum over LayerZero
/// @notice The hash comes from the hub itself, never from the caller. Anyone may pay for a message, also a second
/// time: the registry counts a route once.
/// @dev The owner is also the delegate at the endpoint: it pins libraries, DVNs and executor, and sets the options.
contract LayerZeroSender is OAppSender, OAppOptionsType3 {
    /// @notice Message type under which the execution gas is enforced.
    uint16 public constant RELAY = 1;

    /// @notice The hub whose rounds are relayed.
    IFedproofHub public immutable hub;
    /// @notice LayerZero's endpoint id of the destination.
    uint32 public immutable destination;

    event Relayed(bytes32 indexed modelId, uint64 indexed round, bytes32 modelHash, bytes32 guid);

    constructor(address endpoint_, IFedproofHub hub_, uint32 destination_, address owner_)
        OAppCore(endpoint_, owner_)
        Ownable(owner_)
    {
        hub = hub_;
        destination = destination_;
    }

    /// @notice Sends the hash of a finalized round; the value pays for the message, what is left comes back.
    /// @dev Reverts as `IFedproofHub.modelHashOf` does if the round has none.
    function relay(bytes32 modelId, uint64 round) external payable returns (bytes32 guid) {
        bytes32 modelHash = hub.modelHashOf(modelId, round);
        MessagingReceipt memory receipt = _lzSend(
            destination,
            _payload(modelId, round, modelHash),
            enforcedOptions[destination][RELAY],
            MessagingFee(msg.value, 0),
            msg.sender
        );
        emit Relayed(modelId, round, modelHash, receipt.guid);
        return receipt.guid;
    }

    /// @notice What `relay` costs now, in wei of this chain's coin.
    function quote(bytes32 modelId, uint64 round) external view returns (MessagingFee memory) {
        return _quote(
            destination,
            _payload(modelId, round, hub.modelHashOf(modelId, round)),
            enforcedOptions[destination][RELAY],
            false
        );
    }

    function _payload(bytes32 modelId, uint64 round, bytes32 modelHash) private view returns (bytes memory) {
        return ModelPayload.encode(block.chainid, address(hub), modelId, round, modelHash);
    }
}
