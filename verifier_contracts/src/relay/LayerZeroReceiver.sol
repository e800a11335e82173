// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {OAppCore} from "@layerzerolabs/oapp-evm/contracts/oapp/OAppCore.sol";
import {OAppReceiver, Origin} from "@layerzerolabs/oapp-evm/contracts/oapp/OAppReceiver.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title Takes model hashes from LayerZero to the registry
/// @notice Messages come from the endpoint and from the one peer set for their source chain; anything else is refused
/// by OApp (OnlyEndpoint, OnlyPeer, NoPeer).
/// @dev The owner is also the delegate at the endpoint, where it pins the receive library and the DVNs.
contract LayerZeroReceiver is OAppReceiver {
    /// @notice Where the messages go.
    IModelRegistry public immutable registry;

    event Delivered(bytes32 indexed guid, uint32 indexed source);

    constructor(address endpoint_, IModelRegistry registry_, address owner_)
        OAppCore(endpoint_, owner_)
        Ownable(owner_)
    {
        registry = registry_;
    }

    function _lzReceive(Origin calldata origin, bytes32 guid, bytes calldata message, address, bytes calldata)
        internal
        override
    {
        registry.record(message);
        emit Delivered(guid, origin.srcEid);
    }
}
