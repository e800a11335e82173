// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    MessagingFee,
    MessagingParams,
    MessagingReceipt,
    Origin
} from "@layerzerolabs/lz-evm-protocol-v2/contracts/interfaces/ILayerZeroEndpointV2.sol";
import {OAppReceiver} from "@layerzerolabs/oapp-evm/contracts/oapp/OAppReceiver.sol";

/// @dev As much of LayerZero's endpoint as our two applications touch. The real one is used in the Python tests.
contract MockEndpoint {
    uint256 public constant FEE = 0.001 ether;
    MessagingParams private _sent;
    uint64 public count;
    mapping(address app => address) public delegates;

    function setDelegate(address delegate) external {
        delegates[msg.sender] = delegate;
    }

    function quote(MessagingParams calldata, address) external pure returns (MessagingFee memory) {
        return MessagingFee(FEE, 0);
    }

    function send(MessagingParams calldata params, address refundAddress)
        external
        payable
        returns (MessagingReceipt memory)
    {
        require(msg.value >= FEE, "fee");
        _sent = params;
        (bool paid,) = refundAddress.call{value: msg.value - FEE}("");
        require(paid, "refund");
        return MessagingReceipt(keccak256(abi.encode(++count)), count, MessagingFee(FEE, 0));
    }

    function sent() external view returns (MessagingParams memory) {
        return _sent;
    }

    function deliver(OAppReceiver app, Origin calldata origin, bytes calldata message) external {
        app.lzReceive(origin, keccak256(abi.encode(origin.nonce)), message, msg.sender, "");
    }
}
