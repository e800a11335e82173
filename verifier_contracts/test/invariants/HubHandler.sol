// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Origin} from "@layerzerolabs/lz-evm-protocol-v2/contracts/interfaces/ILayerZeroEndpointV2.sol";
import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {Vectors} from "../../src/points/Vectors.sol";
import {Point} from "../../src/points/Point.sol";
import {LayerZeroReceiver} from "../../src/relay/LayerZeroReceiver.sol";
import {LayerZeroSender} from "../../src/relay/LayerZeroSender.sol";
import {ModelRegistry} from "../../src/relay/ModelRegistry.sol";
import {HubWorld} from "../kit/HubWorld.sol";
import {MockEndpoint} from "../kit/MockEndpoint.sol";

/// @dev Plays trainers, aggregators, guardians, thieves and the clock in any order, and keeps its own books in plain
/// modular arithmetic. An act that is not possible at the moment does nothing; an attack that succeeds is a breach.
contract HubHandler is HubWorld {
    using Vectors for Point[];

    uint32 private constant L1 = 30101;
    uint32 private constant L2 = 30110;

    MockEndpoint private endpoint;
    LayerZeroSender private sender;
    LayerZeroReceiver private receiver;
    ModelRegistry public registry;

    /// @dev What the current model should be.
    uint256 public expectedModel = GENESIS;
    string public breach;
    uint64[] private _relayed;
    uint64 private _newestFinalized;
    uint256 private _modelBefore;
    bool private _rollable;
    mapping(uint64 round => uint256) public finalizations;
    mapping(uint64 round => bytes32) public hashes;
    mapping(bytes32 key => uint256) private _accepted;
    mapping(uint64 round => mapping(address trainer => bytes)) private _plans;
    mapping(uint64 round => mapping(address trainer => uint256)) private _updates;
    mapping(address trainer => bytes) private _spent;

    constructor() {
        _setUpWorld(3);
        endpoint = new MockEndpoint();
        sender = new LayerZeroSender(address(endpoint), hub, L1, address(this));
        registry = new ModelRegistry(block.chainid, address(hub), 1, address(this));
        receiver = new LayerZeroReceiver(address(endpoint), registry, address(this));
        sender.setPeer(L1, bytes32(uint256(uint160(address(receiver)))));
        receiver.setPeer(L2, bytes32(uint256(uint160(address(sender)))));
        registry.setRoute("layerzero", address(receiver), false);
        vm.deal(address(this), 1000 ether);
    }

    receive() external payable {}

    // Honest acts

    function open() external {
        IFedproofHub.Phase phase = _phase();
        if (phase >= IFedproofHub.Phase.Commit && phase <= IFedproofHub.Phase.Expired) return;
        _open();
    }

    function commit(uint256 who, uint256 count) public {
        if (_phase() != IFedproofHub.Phase.Commit) return;
        (uint64 round, address trainer) = (_round(), _trainer(who));
        if (hub.commitOf(modelId, round, trainer) != 0) return;
        Plan memory plan = _plan(trainer, round, expectedModel, bound(count, 1, 3));
        _plans[round][trainer] = abi.encode(plan);
        _commit(trainer, round, plan);
    }

    function submit(uint256 who) public {
        if (_phase() != IFedproofHub.Phase.Submit) return;
        (uint64 round, address trainer) = (_round(), _trainer(who));
        if (hub.commitOf(modelId, round, trainer) == 0 || _hasSubmitted(round, trainer)) return;
        Plan memory plan = abi.decode(_plans[round][trainer], (Plan));
        _submit(trainer, round, plan);
        _updates[round][trainer] = _update(plan);
        _spent[trainer] = abi.encode(plan);
        for (uint256 i = 0; i < plan.deltas.length; ++i) {
            bytes32 key = _vector(plan.deltas[i]).key();
            if (++_accepted[key] != 1 || !hub.isStepUsed(modelId, key)) {
                breach = "a commitment was used twice";
            }
        }
    }

    function finalize(uint256 delta) public {
        uint64 round = _round();
        IFedproofHub.RoundView memory state = _roundView();
        if (state.phase != IFedproofHub.Phase.Finalize || state.submitted - state.leftOut < 2) return;
        delta = delta % R;
        _finalize(round, _honestProof(round, delta));
        ++finalizations[round];
        hashes[round] = hub.modelHashOf(modelId, round);
        (_modelBefore, expectedModel) = (expectedModel, addmod(expectedModel, delta, R));
        (_newestFinalized, _rollable) = (round, true);
    }

    /// @dev Carries a round as far as it goes, so that deep states are reached often.
    function advance(uint256 delta) external {
        IFedproofHub.Phase phase = _phase();
        if (phase == IFedproofHub.Phase.Commit) {
            for (uint256 i = 0; i < trainers.length; ++i) {
                commit(i, delta >> i);
            }
        } else if (phase == IFedproofHub.Phase.Submit) {
            for (uint256 i = 0; i < trainers.length; ++i) {
                submit(i);
            }
        } else {
            finalize(delta);
        }
    }

    function leaveOut(uint256 who) external {
        (uint64 round, address trainer) = (_round(), _trainer(who));
        IFedproofHub.Phase phase = _phase();
        if (phase != IFedproofHub.Phase.Submit && phase != IFedproofHub.Phase.Finalize) return;
        if (!_hasSubmitted(round, trainer) || _isLeftOut(round, trainer)) return;
        bytes32 digest = hub.leaveOutDigest(modelId, round, trainer, "withheld");
        hub.leaveOut(modelId, round, trainer, "withheld", _sign(digest, 0, 2));
    }

    function rollBack(uint256 dice) external {
        // Rolling back as often as finalizing would leave no history.
        if (!_rollable || dice % 4 != 0) return;
        hub.rollBack(modelId, _newestFinalized, _sign(hub.rollBackDigest(modelId, _newestFinalized), 1, 2));
        (expectedModel, _rollable) = (_modelBefore, false);
    }

    function relay(uint256 which) external {
        uint64 round = _round();
        if (round == 0) return;
        round = uint64(bound(which, 1, round));
        if (hub.phaseOf(modelId, round) != IFedproofHub.Phase.Finalized) return;
        sender.relay{value: 0.001 ether}(modelId, round);
        endpoint.deliver(
            receiver, Origin(L2, bytes32(uint256(uint160(address(sender)))), 1), endpoint.sent().message
        );
        _relayed.push(round);
    }

    function cancel() external {
        try hub.cancel(modelId, _round()) {} catch {}
    }

    function reclaim(uint256 who, uint256 which) external {
        uint64 round = uint64(bound(which, 0, _round()));
        try hub.reclaimBond(modelId, round, _trainer(who)) {} catch {}
    }

    function withdraw(uint256 who) external {
        address account = who % 4 == 3 ? aggregator : _trainer(who);
        vm.prank(account);
        try hub.withdraw() {} catch {}
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 90 minutes));
    }

    // Attacks

    function replay(uint256 who) external {
        (uint64 round, address trainer) = (_round(), _trainer(who));
        if (_spent[trainer].length == 0 || round == 0) return;
        Plan memory plan = abi.decode(_spent[trainer], (Plan));
        vm.prank(trainer);
        try hub.submit(modelId, round, plan.nonce, plan.steps, noVka) {
            breach = "a submission was replayed";
        } catch {}
    }

    function finalizeAgain(uint256 which, uint256 delta) external {
        uint64 round = _round();
        if (round == 0) return;
        round = uint64(bound(which, 1, round));
        if (hub.phaseOf(modelId, round) == IFedproofHub.Phase.Finalize) return;
        bytes memory proof = _honestProof(round, delta % R);
        vm.prank(aggregator);
        try hub.finalize(modelId, round, proof, noVka) {
            breach = "a round was finalized out of its phase";
        } catch {}
    }

    function forge(uint256 delta, uint256 error_) external {
        if (_phase() != IFedproofHub.Phase.Finalize) return;
        uint64 round = _round();
        uint256[] memory weights = hub.weightsOf(modelId, round);
        if (weights.length == 0) return;
        weights[0] += bound(error_, 1, 1000);
        bytes memory proof = _aggregateProof(_updatesOf(round), weights, delta % R);
        vm.prank(aggregator);
        try hub.finalize(modelId, round, proof, noVka) {
            breach = "a false aggregate was accepted";
        } catch {}
    }

    // Books

    function relayed() external view returns (uint64[] memory) {
        return _relayed;
    }

    function currentModel() external view returns (Point[] memory actual, Point[] memory expected) {
        return (hub.modelOf(modelId).current, _vector(expectedModel));
    }

    function latestRound() external view returns (uint64) {
        return _round();
    }

    function finalizedHash(uint64 round) external view returns (bool finalized, bytes32 hash) {
        finalized = hub.phaseOf(modelId, round) == IFedproofHub.Phase.Finalized;
        if (finalized) hash = hub.modelHashOf(modelId, round);
    }

    function recorded(uint64 round) external view returns (bytes32) {
        return registry.recordOf(modelId, round).modelHash;
    }

    /// @dev What the hub holds, what it owes now, and what rounds still hold back.
    function money() external view returns (uint256 held, uint256 owed, uint256 locked) {
        held = address(hub).balance;
        owed = hub.owedTo(aggregator);
        for (uint256 i = 0; i < trainers.length; ++i) {
            owed += hub.owedTo(trainers[i]);
            for (uint64 round = 1; round <= _round(); ++round) {
                IFedproofHub.Phase phase = hub.phaseOf(modelId, round);
                bool settled = phase == IFedproofHub.Phase.Finalized || phase == IFedproofHub.Phase.RolledBack;
                if (settled || _hasSubmitted(round, trainers[i])) continue;
                if (hub.commitOf(modelId, round, trainers[i]) != 0) locked += BOND;
            }
        }
    }

    function _honestProof(uint64 round, uint256 delta) private view returns (bytes memory) {
        return _aggregateProof(_updatesOf(round), hub.weightsOf(modelId, round), delta);
    }

    function _updatesOf(uint64 round) private view returns (uint256[] memory updates) {
        IFedproofHub.SubmissionView[] memory list = hub.submissionsOf(modelId, round);
        updates = new uint256[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            updates[i] = _updates[round][list[i].trainer];
        }
    }

    function _hasSubmitted(uint64 round, address trainer) private view returns (bool) {
        IFedproofHub.SubmissionView[] memory list = hub.submissionsOf(modelId, round);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i].trainer == trainer) return true;
        }
        return false;
    }

    function _isLeftOut(uint64 round, address trainer) private view returns (bool) {
        IFedproofHub.SubmissionView[] memory list = hub.submissionsOf(modelId, round);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i].trainer == trainer) return list[i].leftOut;
        }
        return false;
    }

    function _round() private view returns (uint64) {
        return hub.latestRoundOf(modelId);
    }

    function _phase() private view returns (IFedproofHub.Phase) {
        return hub.phaseOf(modelId, _round());
    }

    function _roundView() private view returns (IFedproofHub.RoundView memory state) {
        if (_round() != 0) state = hub.roundOf(modelId, _round());
    }

    function _trainer(uint256 who) private view returns (address) {
        return trainers[who % trainers.length];
    }
}
