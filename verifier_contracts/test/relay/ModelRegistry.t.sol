// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IModelRegistry} from "../../src/relay/IModelRegistry.sol";
import {ModelPayload} from "../../src/relay/ModelPayload.sol";
import {ModelRegistry} from "../../src/relay/ModelRegistry.sol";
import {Test} from "../kit/Test.sol";

contract ModelRegistryTest is Test {
    uint256 private constant SOURCE = 42161;
    address private constant HUB = address(0x4b);
    address private constant OWNER = address(0x0123);
    bytes32 private constant MODEL = keccak256("model");
    bytes32 private constant HASH = keccak256("hash");
    bytes32 private constant OTHER = keccak256("other");
    address private constant FAST1 = address(0xfa1);
    address private constant FAST2 = address(0xfa2);
    address private constant NATIVE = address(0x4a);

    ModelRegistry private registry;

    function setUp() external {
        registry = new ModelRegistry(SOURCE, HUB, 2, OWNER);
        vm.startPrank(OWNER);
        registry.setRoute("fast1", FAST1, false);
        registry.setRoute("fast2", FAST2, false);
        registry.setRoute("native", NATIVE, true);
        vm.stopPrank();
    }

    function test_oneRouteIsNotEnough() external {
        _report(FAST1, 1, HASH);
        IModelRegistry.Record memory entry = registry.recordOf(MODEL, 1);
        vm.assertEq(entry.modelHash, HASH);
        vm.assertEq(entry.agreeing, 1);
        vm.assertTrue(entry.status == IModelRegistry.Status.None);
        (uint64 round,) = registry.latest(MODEL);
        vm.assertEq(round, 0);
    }

    function test_twoAgreeingRoutesMakeARecordProvisional() external {
        _report(FAST1, 1, HASH);
        _report(FAST2, 1, HASH);
        _expectLatest(1, HASH, IModelRegistry.Status.Provisional);
    }

    function test_theNativeRouteMakesARecordFinal() external {
        _report(FAST1, 1, HASH);
        _report(NATIVE, 1, HASH);
        _expectLatest(1, HASH, IModelRegistry.Status.Final);
        _report(FAST2, 1, HASH);
        _expectLatest(1, HASH, IModelRegistry.Status.Final);
        vm.assertEq(registry.recordOf(MODEL, 1).agreeing, 3);
    }

    function test_theNativeRouteAloneIsFinal() external {
        _report(NATIVE, 1, HASH);
        _expectLatest(1, HASH, IModelRegistry.Status.Final);
    }

    function test_conflictingRoutesFreezeTheRecord() external {
        _report(FAST1, 1, HASH);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ConflictReported(MODEL, 1, "fast2", HASH, OTHER);
        vm.expectEmit(address(registry));
        emit IModelRegistry.StatusChanged(MODEL, 1, IModelRegistry.Status.Frozen);
        _report(FAST2, 1, OTHER);
        IModelRegistry.Record memory entry = registry.recordOf(MODEL, 1);
        vm.assertEq(entry.modelHash, HASH, "the first hash stays");
        vm.assertTrue(entry.status == IModelRegistry.Status.Frozen);
        vm.assertEq(registry.reportOf(MODEL, 1, "fast2"), OTHER);
        _report(NATIVE, 1, HASH);
        vm.assertTrue(registry.recordOf(MODEL, 1).status == IModelRegistry.Status.Frozen);
        (uint64 round,) = registry.latest(MODEL);
        vm.assertEq(round, 0, "a frozen record does not become the latest");
    }

    function test_rejects_aSecondDifferentHashForTheSameRound() external {
        _report(FAST1, 1, HASH);
        _report(FAST2, 1, HASH);
        _report(FAST1, 1, OTHER);
        _expectLatest(1, HASH, IModelRegistry.Status.Frozen);
        vm.assertEq(registry.reportOf(MODEL, 1, "fast1"), HASH);
    }

    function test_aFinalRecordIsFrozenByAConflictToo() external {
        _report(NATIVE, 1, HASH);
        _report(FAST1, 1, OTHER);
        _expectLatest(1, HASH, IModelRegistry.Status.Frozen);
    }

    function test_duplicatesAreEventsAndCountOnce() external {
        _report(FAST1, 1, HASH);
        vm.expectEmit(address(registry));
        emit IModelRegistry.DuplicateReported(MODEL, 1, "fast1");
        _report(FAST1, 1, HASH);
        vm.assertEq(registry.recordOf(MODEL, 1).agreeing, 1);
    }

    function test_lateMessagesAreEventsAndCount() external {
        _report(FAST1, 1, HASH);
        _report(FAST1, 2, OTHER);
        _report(FAST2, 2, OTHER);
        vm.expectEmit(address(registry));
        emit IModelRegistry.LateReported(MODEL, 1, "fast2", 2);
        _report(FAST2, 1, HASH);
        vm.assertTrue(registry.recordOf(MODEL, 1).status == IModelRegistry.Status.Provisional);
        _expectLatest(2, OTHER, IModelRegistry.Status.Provisional);
        _report(NATIVE, 1, HASH);
        vm.assertTrue(registry.recordOf(MODEL, 1).status == IModelRegistry.Status.Final);
        _expectLatest(2, OTHER, IModelRegistry.Status.Provisional);
    }

    function test_oneLyingRouteCannotMoveTheLatestRound() external {
        _report(FAST1, type(uint64).max, OTHER);
        _report(FAST1, 1, HASH);
        _report(FAST2, 1, HASH);
        _expectLatest(1, HASH, IModelRegistry.Status.Provisional);
    }

    function test_rejects_anyoneButARoute() external {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotARoute.selector, address(this)));
        registry.record(_payload(1, HASH));
    }

    function test_rejects_aRemovedOrReplacedRoute() external {
        vm.startPrank(OWNER);
        registry.removeRoute("fast1");
        registry.setRoute("fast2", address(0xfa3), false);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotARoute.selector, FAST1));
        _report(FAST1, 1, HASH);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotARoute.selector, FAST2));
        _report(FAST2, 1, HASH);
        _report(address(0xfa3), 1, HASH);
    }

    function test_rejects_anotherChainOrHub() external {
        bytes memory payload = ModelPayload.encode(1, HUB, MODEL, 1, HASH);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongSourceChain.selector, SOURCE, 1));
        _record(FAST1, payload);
        payload = ModelPayload.encode(SOURCE, OWNER, MODEL, 1, HASH);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.WrongHub.selector, HUB, OWNER));
        _record(FAST1, payload);
    }

    function test_rejects_anEmptyHash() external {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.EmptyModelHash.selector, MODEL, 1));
        _report(FAST1, 1, 0);
    }

    function test_rejects_malformedPayloads() external {
        bytes memory payload = abi.encode(uint8(2), SOURCE, HUB, MODEL, uint64(1), HASH);
        vm.expectRevert(abi.encodeWithSelector(ModelPayload.UnknownPayloadVersion.selector, 1, 2));
        _record(FAST1, payload);
        vm.expectRevert(abi.encodeWithSelector(ModelPayload.WrongPayloadLength.selector, 192, 224));
        _record(FAST1, bytes.concat(_payload(1, HASH), bytes32(0)));
        vm.expectRevert(abi.encodeWithSelector(ModelPayload.WrongPayloadLength.selector, 192, 0));
        _record(FAST1, "");
        payload = abi.encode(1, SOURCE, HUB, MODEL, uint256(1) << 64, HASH);
        vm.expectRevert(ModelPayload.MalformedPayload.selector);
        _record(FAST1, payload);
        payload = abi.encode(1, SOURCE, uint256(1) << 160, MODEL, 1, HASH);
        vm.expectRevert(ModelPayload.MalformedPayload.selector);
        _record(FAST1, payload);
    }

    function testFuzz_payloadRoundTrip(
        uint256 sourceChainId,
        address hub,
        bytes32 modelId,
        uint64 round,
        bytes32 modelHash
    ) external view {
        bytes memory payload = ModelPayload.encode(sourceChainId, hub, modelId, round, modelHash);
        vm.assertEq(payload.length, 192);
        ModelPayload.Message memory message = this.decode(payload);
        vm.assertEq(message.version, 1);
        vm.assertEq(message.sourceChainId, sourceChainId);
        vm.assertEq(message.hub, hub);
        vm.assertEq(message.modelId, modelId);
        vm.assertEq(message.round, round);
        vm.assertEq(message.modelHash, modelHash);
    }

    function test_rejects_routesByAnyoneButTheOwner() external {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        registry.setRoute("fast3", address(1), false);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        registry.removeRoute("fast1");
    }

    function test_rejects_routesThatCannotWork() external {
        vm.startPrank(OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.InvalidRoute.selector, bytes32("fast3"), address(0))
        );
        registry.setRoute("fast3", address(0), false);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.AdapterAlreadyRouted.selector, FAST1, bytes32("fast1"))
        );
        registry.setRoute("fast3", FAST1, false);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.InvalidRoute.selector, bytes32("fast3"), address(0))
        );
        registry.removeRoute("fast3");
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.InvalidQuorum.selector, 0));
        new ModelRegistry(SOURCE, HUB, 0, OWNER);
    }

    function test_aRouteCanBeSetAgain() external {
        vm.prank(OWNER);
        registry.setRoute("fast1", FAST1, true);
        vm.assertTrue(registry.routeOf("fast1").native);
        _report(FAST1, 1, HASH);
        _expectLatest(1, HASH, IModelRegistry.Status.Final);
    }

    function decode(bytes calldata payload) external pure returns (ModelPayload.Message memory) {
        return ModelPayload.decode(payload);
    }

    function _payload(uint64 round, bytes32 modelHash) private pure returns (bytes memory) {
        return ModelPayload.encode(SOURCE, HUB, MODEL, round, modelHash);
    }

    function _report(address adapter, uint64 round, bytes32 modelHash) private {
        _record(adapter, _payload(round, modelHash));
    }

    function _record(address adapter, bytes memory payload) private {
        vm.prank(adapter);
        registry.record(payload);
    }

    function _expectLatest(uint64 round, bytes32 modelHash, IModelRegistry.Status status) private view {
        (uint64 actual, IModelRegistry.Record memory entry) = registry.latest(MODEL);
        vm.assertEq(actual, round);
        vm.assertEq(entry.modelHash, modelHash);
        vm.assertTrue(entry.status == status);
    }
}
