// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {ModelPayload} from "./ModelPayload.sol";

/// @title The record of finalized model hashes on Ethereum
/// @dev The owner chooses the routes and can therefore decide what is recorded from then on: it belongs to a
/// timelock. It cannot change what is recorded.
contract ModelRegistry is IModelRegistry, Ownable2Step {
    /// @inheritdoc IModelRegistry
    uint256 public immutable sourceChainId;
    /// @inheritdoc IModelRegistry
    address public immutable hub;
    /// @inheritdoc IModelRegistry
    uint32 public immutable fastQuorum;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 modelId => mapping(uint64 round => mapping(bytes32 routeId => bytes32 modelHash))) public
        reportOf;

    mapping(bytes32 routeId => Route) private _routes;
    mapping(address adapter => bytes32 routeId) private _routeOf;
    mapping(bytes32 modelId => mapping(uint64 round => Record)) private _records;
    mapping(bytes32 modelId => uint64 round) private _latest;

    constructor(uint256 sourceChainId_, address hub_, uint32 fastQuorum_, address owner_) Ownable(owner_) {
        if (fastQuorum_ == 0) revert InvalidQuorum(fastQuorum_);
        sourceChainId = sourceChainId_;
        hub = hub_;
        fastQuorum = fastQuorum_;
    }

    /// @notice Adds a route or replaces its adapter. What the route reported before stays counted.
    /// @param native Whether the route is the source chain's own bridge, whose word makes a record Final.
    function setRoute(bytes32 routeId, address adapter, bool native) external onlyOwner {
        if (routeId == 0 || adapter == address(0)) revert InvalidRoute(routeId, adapter);
        bytes32 taken = _routeOf[adapter];
        if (taken != 0 && taken != routeId) revert AdapterAlreadyRouted(adapter, taken);
        delete _routeOf[_routes[routeId].adapter];
        _routes[routeId] = Route(adapter, native);
        _routeOf[adapter] = routeId;
        emit RouteSet(routeId, adapter, native);
    }

    /// @notice Removes a route; its adapter is refused from now on.
    function removeRoute(bytes32 routeId) external onlyOwner {
        address adapter = _routes[routeId].adapter;
        if (adapter == address(0)) revert InvalidRoute(routeId, adapter);
        delete _routeOf[adapter];
        delete _routes[routeId];
        emit RouteRemoved(routeId);
    }

    /// @inheritdoc IModelRegistry
    function record(bytes calldata payload) external {
        bytes32 routeId = _routeOf[msg.sender];
        if (routeId == 0) revert NotARoute(msg.sender);
        ModelPayload.Message memory message = ModelPayload.decode(payload);
        if (message.sourceChainId != sourceChainId) {
            revert WrongSourceChain(sourceChainId, message.sourceChainId);
        }
        if (message.hub != hub) revert WrongHub(hub, message.hub);
        if (message.modelHash == 0) revert EmptyModelHash(message.modelId, message.round);
        _report(message.modelId, message.round, routeId, message.modelHash);
    }

    /// @inheritdoc IModelRegistry
    function latest(bytes32 modelId) external view returns (uint64 round, Record memory) {
        round = _latest[modelId];
        return (round, _records[modelId][round]);
    }

    /// @inheritdoc IModelRegistry
    function recordOf(bytes32 modelId, uint64 round) external view returns (Record memory) {
        return _records[modelId][round];
    }

    /// @notice The adapter of a route, and whether it is native.
    function routeOf(bytes32 routeId) external view returns (Route memory) {
        return _routes[routeId];
    }

    function _report(bytes32 modelId, uint64 round, bytes32 routeId, bytes32 modelHash) private {
        Record storage entry = _records[modelId][round];
        if (entry.modelHash == 0) {
            entry.modelHash = modelHash;
            entry.recordedAt = uint64(block.timestamp);
        }
        uint64 newest = _latest[modelId];
        if (round < newest) emit LateReported(modelId, round, routeId, newest);

        bytes32 earlier = reportOf[modelId][round][routeId];
        if (earlier == 0) reportOf[modelId][round][routeId] = modelHash;
        if (modelHash != entry.modelHash) {
            emit ConflictReported(modelId, round, routeId, entry.modelHash, modelHash);
            _setStatus(entry, modelId, round, Status.Frozen);
            return;
        }
        if (earlier != 0) {
            emit DuplicateReported(modelId, round, routeId);
            return;
        }
        entry.agreeing += 1;
        emit HashReported(modelId, round, routeId, modelHash, entry.agreeing);
        _promote(entry, modelId, round, _routes[routeId].native);
    }

    /// @dev Frozen and Final are never left here.
    function _promote(Record storage entry, bytes32 modelId, uint64 round, bool native) private {
        if (entry.status == Status.Frozen || entry.status == Status.Final) return;
        if (native) _setStatus(entry, modelId, round, Status.Final);
        else if (entry.agreeing >= fastQuorum) _setStatus(entry, modelId, round, Status.Provisional);
        else return;
        if (round > _latest[modelId]) {
            _latest[modelId] = round;
            emit LatestAdvanced(modelId, round, entry.modelHash);
        }
    }

    function _setStatus(Record storage entry, bytes32 modelId, uint64 round, Status status) private {
        if (entry.status == status) return;
        entry.status = status;
        emit StatusChanged(modelId, round, status);
    }
}
