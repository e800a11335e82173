// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {
    MessagingParams,
    Origin
} from "@layerzerolabs/lz-evm-protocol-v2/contracts/interfaces/ILayerZeroEndpointV2.sol";
import {IOAppCore} from "@layerzerolabs/oapp-evm/contracts/oapp/interfaces/IOAppCore.sol";
import {EnforcedOptionParam} from "@layerzerolabs/oapp-evm/contracts/oapp/interfaces/IOAppOptionsType3.sol";
import {OAppReceiver} from "@layerzerolabs/oapp-evm/contracts/oapp/OAppReceiver.sol";
import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {IModelRegistry} from "../../src/relay/IModelRegistry.sol";
import {LayerZeroReceiver} from "../../src/relay/LayerZeroReceiver.sol";
import {LayerZeroSender} from "../../src/relay/LayerZeroSender.sol";
import {ModelPayload} from "../../src/relay/ModelPayload.sol";
import {ModelRegistry} from "../../src/relay/ModelRegistry.sol";
import {HubWorld} from "../kit/HubWorld.sol";
import {MockEndpoint} from "../kit/MockEndpoint.sol";

/// @dev From a finalized round to the registry, over an emulated endpoint; both "chains" are one here.
contract LayerZeroTest is HubWorld {
    uint32 private constant L1 = 30101;
    uint32 private constant L2 = 30110;
    bytes private constant OPTIONS = hex"00030100110100000000000000000000000000030d40";

    MockEndpoint private endpoint;
    LayerZeroSender private sender;
    LayerZeroReceiver private receiver;
    ModelRegistry private registry;
    uint64 private round;

    function setUp() external {
        _setUpWorld(2);
        (round,) = _runRound(GENESIS, 9);
        endpoint = new MockEndpoint();
        sender = new LayerZeroSender(address(endpoint), hub, L1, owner);
        registry = new ModelRegistry(block.chainid, address(hub), 1, owner);
        receiver = new LayerZeroReceiver(address(endpoint), registry, owner);
        EnforcedOptionParam[] memory options = new EnforcedOptionParam[](1);
        options[0] = EnforcedOptionParam(L1, sender.RELAY(), OPTIONS);
        vm.startPrank(owner);
        sender.setPeer(L1, _peer(address(receiver)));
        sender.setEnforcedOptions(options);
        receiver.setPeer(L2, _peer(address(sender)));
        registry.setRoute("layerzero", address(receiver), false);
        vm.stopPrank();
    }

    function test_theFinalizedHashIsRelayed() external {
        vm.deal(stranger, 1 ether);
        vm.prank(stranger);
        sender.relay{value: 0.5 ether}(modelId, round);
        vm.assertEq(stranger.balance, 1 ether - endpoint.FEE(), "the rest comes back");
        MessagingParams memory sent = endpoint.sent();
        vm.assertEq(sent.dstEid, L1);
        vm.assertEq(sent.receiver, _peer(address(receiver)));
        vm.assertEq(sent.options, OPTIONS);
        _deliver(L2, address(sender), sent.message);
        (uint64 latest, IModelRegistry.Record memory entry) = registry.latest(modelId);
        vm.assertEq(latest, round);
        vm.assertEq(entry.modelHash, hub.modelHashOf(modelId, round));
        vm.assertTrue(entry.status == IModelRegistry.Status.Provisional);
    }

    function test_quote() external view {
        vm.assertEq(sender.quote(modelId, round).nativeFee, endpoint.FEE());
    }

    function test_theOwnerIsTheDelegate() external view {
        vm.assertEq(endpoint.delegates(address(sender)), owner);
        vm.assertEq(endpoint.delegates(address(receiver)), owner);
    }

    function test_rejects_aRoundThatIsNotFinalized() external {
        uint64 next = _open();
        vm.expectRevert(
            abi.encodeWithSelector(
                IFedproofHub.WrongPhase.selector,
                modelId,
                next,
                IFedproofHub.Phase.Finalized,
                IFedproofHub.Phase.Commit
            )
        );
        sender.relay{value: 0.5 ether}(modelId, next);
        vm.expectRevert(abi.encodeWithSelector(IFedproofHub.UnknownRound.selector, modelId, next + 1));
        sender.relay{value: 0.5 ether}(modelId, next + 1);
    }

    function test_rejects_aRoundRolledBack() external {
        hub.rollBack(modelId, round, _sign(hub.rollBackDigest(modelId, round), 0, 2));
        vm.expectPartialRevert(IFedproofHub.WrongPhase.selector);
        sender.relay{value: 0.5 ether}(modelId, round);
    }

    function test_rejects_aMessageFromAWrongPeer() external {
        bytes memory message =
            ModelPayload.encode(block.chainid, address(hub), modelId, round, keccak256("lie"));
        vm.expectRevert(abi.encodeWithSelector(IOAppCore.OnlyPeer.selector, L2, _peer(stranger)));
        _deliver(L2, stranger, message);
        vm.expectRevert(abi.encodeWithSelector(IOAppCore.NoPeer.selector, L1));
        _deliver(L1, address(sender), message);
    }

    function test_rejects_aMessageThatDoesNotComeFromTheEndpoint() external {
        bytes memory message =
            ModelPayload.encode(block.chainid, address(hub), modelId, round, keccak256("lie"));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(OAppReceiver.OnlyEndpoint.selector, stranger));
        receiver.lzReceive(Origin(L2, _peer(address(sender)), 1), 0, message, address(0), "");
    }

    function test_aSecondRelayIsADuplicate() external {
        sender.relay{value: 0.5 ether}(modelId, round);
        bytes memory message = endpoint.sent().message;
        _deliver(L2, address(sender), message);
        vm.expectEmit(address(registry));
        emit IModelRegistry.DuplicateReported(modelId, round, "layerzero");
        _deliver(L2, address(sender), message);
    }

    receive() external payable {}

    function _deliver(uint32 source, address from, bytes memory message) private {
        endpoint.deliver(receiver, Origin(source, _peer(from), 1), message);
    }

    function _peer(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}
