// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {FedproofHub} from "../../src/hub/FedproofHub.sol";
import {IFedproofHub} from "../../src/hub/IFedproofHub.sol";
import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {Vectors} from "../../src/points/Vectors.sol";
import {Merkle} from "./Merkle.sol";
import {MockCircuitVerifier} from "./MockCircuitVerifier.sol";
import {Test} from "./Test.sol";

/// @dev A hub with a model and trainers whose vectors are known multiples of the generator (see `_vector`), so that
/// every commitment the hub computes can be checked against plain modular arithmetic.
abstract contract HubWorld is Test {
    using Vectors for Point[];

    /// @dev What a trainer does in a round.
    struct Plan {
        bytes32 nonce;
        bytes32 digest;
        IFedproofHub.StepProof[] steps;
        uint256[] deltas;
    }

    uint256 internal constant TAIL = 0x7a11;
    uint256 internal constant GENESIS = 1000;
    uint256 internal constant BATCHES = 8;
    uint256 internal constant GUARDIANS = 3;
    uint96 internal constant BOND = 0.01 ether;
    uint8 internal constant BITS = 12;
    bytes32[] internal noVka;

    uint32 internal vectorColumns = 1;
    uint32 internal batchColumns = 1;
    uint32 internal maxTrainers = 16;
    /// @dev Whether both circuits have a challenge, and hence a late vector.
    bool internal challenged;
    /// @dev Whether the optimiser has a state, which steps commit to before and after.
    bool internal stateful;
    FedproofHub internal hub;
    MockCircuitVerifier internal stepVerifier;
    MockCircuitVerifier internal aggregateVerifier;
    bytes32 internal modelId;
    address internal owner = address(0x0123);
    address internal stranger = address(0xbad);
    address internal aggregator = address(0xa99);
    address[] internal trainers;
    /// @dev Private keys in ascending order of their addresses.
    uint256[] internal guardianKeys;
    uint256 private _salt;

    function _setUpWorld(uint256 trainerCount) internal {
        vm.warp(1_800_000_000);
        hub = new FedproofHub();
        (stepVerifier, aggregateVerifier) = _verifiers();
        for (uint256 key = 1; guardianKeys.length < GUARDIANS; ++key) {
            guardianKeys.push(key);
        }
        _sortGuardians();
        modelId = _register(_config());
        for (uint256 i = 0; i < trainerCount; ++i) {
            _addTrainer(address(uint160(0x7000 + i)));
        }
    }

    function _verifiers() private returns (MockCircuitVerifier step, MockCircuitVerifier aggregate) {
        // One advice commitment after the three that count, then the late one.
        uint256 inStep = (stateful ? 4 : 2) * vectorColumns + batchColumns + 1;
        uint256 inAverage = 2 * vectorColumns;
        if (!challenged) {
            step = new MockCircuitVerifier("step", inStep, 0);
            aggregate = new MockCircuitVerifier("aggregate", inAverage, 0);
        } else {
            step = new MockCircuitVerifier("step", inStep + 1, inStep);
            aggregate = new MockCircuitVerifier("aggregate", inAverage + 1, inAverage);
        }
    }

    function _register(IFedproofHub.ModelConfig memory config) internal returns (bytes32) {
        vm.prank(owner);
        return hub.registerModel(config);
    }

    function _addTrainer(address trainer) internal {
        trainers.push(trainer);
        vm.deal(trainer, 100 ether);
        vm.prank(owner);
        hub.admitTrainer(modelId, trainer);
        bytes32 root = _datasetRoot(trainer);
        vm.prank(trainer);
        hub.registerDataset(modelId, root);
    }

    function _config() internal view returns (IFedproofHub.ModelConfig memory config) {
        config.genesis = _vector(GENESIS);
        config.ones = _vector(1);
        config.tail = g(TAIL);
        config.vectorColumns = vectorColumns;
        config.batchColumns = batchColumns;
        config.stepVerifier = stepVerifier;
        config.aggregateVerifier = aggregateVerifier;
        config.stateful = stateful;
        config.samplesPerStep = 16;
        config.weightBits = BITS;
        config.minTrainers = 2;
        config.maxTrainers = maxTrainers;
        config.maxSteps = 4;
        config.commitPeriod = 1 hours;
        config.submitPeriod = 2 hours;
        config.finalizePeriod = 3 hours;
        config.guardians = new address[](GUARDIANS);
        for (uint256 i = 0; i < GUARDIANS; ++i) {
            config.guardians[i] = vm.addr(guardianKeys[i]);
        }
        config.guardianThreshold = 2;
        config.bond = BOND;
    }

    // Vectors

    /// @dev P of the vector named s: column c holds (s·(c+1))·G, which is linear in s.
    function _vector(uint256 s) internal view returns (Point[] memory points) {
        points = new Point[](vectorColumns);
        for (uint256 c = 0; c < vectorColumns; ++c) {
            points[c] = g(mulmod(s, c + 1, R));
        }
    }

    function _batch(address trainer, uint256 index) internal view returns (Point[] memory points) {
        points = new Point[](batchColumns);
        for (uint256 c = 0; c < batchColumns; ++c) {
            points[c] = g(uint256(keccak256(abi.encode(trainer, index, c))) % R);
        }
    }

    function _full(Point[] memory points) internal view returns (Point[] memory) {
        return points.shift(g(TAIL));
    }

    function _join(Point[] memory a, Point[] memory b) internal pure returns (Point[] memory joined) {
        joined = new Point[](a.length + b.length);
        for (uint256 i = 0; i < joined.length; ++i) {
            joined[i] = i < a.length ? a[i] : b[i - a.length];
        }
    }

    // Datasets

    function _leaves(address trainer) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](BATCHES);
        for (uint256 i = 0; i < BATCHES; ++i) {
            leaves[i] = keccak256(bytes.concat(_batch(trainer, i).key()));
        }
    }

    function _datasetRoot(address trainer) internal view returns (bytes32) {
        return Merkle.root(_leaves(trainer));
    }

    // Steps

    /// @dev What a proof for a round is made for: a trainer's step, or an average with no account.
    function _context(uint64 round, address account) internal view returns (bytes32) {
        return keccak256(abi.encode(modelId, round, account));
    }

    function _stepProof(bytes32 context, uint256 model, Point[] memory batch, uint256 delta)
        internal
        view
        returns (bytes memory)
    {
        Point[] memory points = _join(_full(_vector(model)), _full(batch));
        points = _join(points, _full(_vector(delta)));
        points = _join(points, _one(g(99)));
        return stepVerifier.prove(context, challenged ? _join(points, _one(g(98))) : points);
    }

    function _one(Point memory p) internal pure returns (Point[] memory points) {
        points = new Point[](1);
        points[0] = p;
    }

    /// @dev `count` honest steps of a trainer in a round whose model is `model`.
    function _plan(address trainer, uint64 round, uint256 model, uint256 count)
        internal
        returns (Plan memory plan)
    {
        plan.nonce = keccak256(abi.encode(trainer, round, ++_salt));
        plan.steps = new IFedproofHub.StepProof[](count);
        plan.deltas = new uint256[](count);
        bytes32[] memory leaves = _leaves(trainer);
        Point[] memory revealed;
        for (uint256 i = 0; i < count; ++i) {
            uint256 delta = uint256(keccak256(abi.encode(trainer, round, i, ++_salt))) % R;
            Point[] memory batch = _batch(trainer, i);
            plan.deltas[i] = delta;
            plan.steps[i].proof = _stepProof(_context(round, trainer), model, batch, delta);
            plan.steps[i].batchPath = Merkle.path(leaves, i);
            revealed = _join(revealed, _join(_full(batch), _full(_vector(delta))));
            model = addmod(model, R - delta, R);
        }
        plan.digest = _digest(round, trainer, plan.nonce, revealed);
    }

    /// @dev Puts a step of one's choice into a one-step plan.
    function _replaceStep(
        Plan memory plan,
        address trainer,
        uint64 round,
        bytes memory proof,
        Point[] memory revealed
    ) internal view {
        plan.steps[0].proof = proof;
        plan.digest = _digest(round, trainer, plan.nonce, revealed);
    }

    function _digest(uint64 round, address trainer, bytes32 nonce, Point[] memory revealed)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(modelId, round, trainer, nonce, revealed));
    }

    /// @dev The scalar of u = -Σ δ.
    function _update(Plan memory plan) internal pure returns (uint256 u) {
        for (uint256 i = 0; i < plan.deltas.length; ++i) {
            u = addmod(u, R - plan.deltas[i], R);
        }
    }

    // Acts

    function _open() internal returns (uint64) {
        vm.prank(owner);
        return hub.openRound(modelId);
    }

    function _commit(address trainer, uint64 round, Plan memory plan) internal {
        vm.prank(trainer);
        hub.commit{value: BOND}(modelId, round, plan.digest);
    }

    function _submit(address trainer, uint64 round, Plan memory plan) internal {
        vm.prank(trainer);
        hub.submit(modelId, round, plan.nonce, plan.steps, noVka);
    }

    function _finalize(uint64 round, bytes memory proof) internal {
        vm.prank(aggregator);
        hub.finalize(modelId, round, proof, noVka);
    }

    /// @dev An honest aggregation proof for the latest round, by the aggregator's own arithmetic.
    function _aggregateProof(uint256[] memory updates, uint256[] memory weights, uint256 delta)
        internal
        view
        returns (bytes memory)
    {
        uint256 sum;
        for (uint256 i = 0; i < updates.length; ++i) {
            sum = addmod(sum, mulmod(updates[i], weights[i], R), R);
        }
        uint256 remainder = addmod(sum, (1 << (BITS - 1)) + 1, R);
        remainder = addmod(remainder, R - mulmod(1 << BITS, delta, R), R);
        Point[] memory points = _join(_full(_vector(remainder)), _full(_vector(delta)));
        if (challenged) points = _join(points, _one(g(98)));
        return aggregateVerifier.prove(_context(hub.latestRoundOf(modelId), address(0)), points);
    }

    /// @dev Opens a round and lets all trainers commit and submit `count` steps each.
    function _runToFinalize(uint256 model, uint256 count)
        internal
        returns (uint64 round, uint256[] memory updates)
    {
        round = _open();
        Plan[] memory plans = new Plan[](trainers.length);
        updates = new uint256[](trainers.length);
        for (uint256 i = 0; i < trainers.length; ++i) {
            plans[i] = _plan(trainers[i], round, model, count);
            updates[i] = _update(plans[i]);
            _commit(trainers[i], round, plans[i]);
        }
        for (uint256 i = 0; i < trainers.length; ++i) {
            _submit(trainers[i], round, plans[i]);
        }
    }

    /// @dev A whole honest round; the model moves from `model` to the returned scalar.
    function _runRound(uint256 model, uint256 delta) internal returns (uint64 round, uint256 moved) {
        uint256[] memory updates;
        (round, updates) = _runToFinalize(model, 2);
        _finalize(round, _aggregateProof(updates, hub.weightsOf(modelId, round), delta));
        moved = addmod(model, delta, R);
    }

    /// @dev The vector a proof carries at `start`, in points.
    function _pointsOf(bytes memory proof, uint256 start) internal view returns (Point[] memory points) {
        points = new Point[](vectorColumns);
        for (uint256 i = 0; i < points.length; ++i) {
            uint256 place = 32 + (start + i) * BN254.POINT_BYTES;
            (uint256 x, uint256 y) = (0, 0);
            assembly ("memory-safe") {
                x := mload(add(proof, place))
                y := mload(add(proof, add(place, 32)))
            }
            points[i] = Point(x, y);
        }
    }

    // Guardians

    function _sign(bytes32 digest, uint256 first, uint256 count)
        internal
        view
        returns (bytes[] memory signatures)
    {
        signatures = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            signatures[i] = _signature(guardianKeys[first + i], digest);
        }
    }

    function _signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _sortGuardians() private {
        for (uint256 i = 1; i < guardianKeys.length; ++i) {
            for (uint256 j = i; j > 0 && vm.addr(guardianKeys[j - 1]) > vm.addr(guardianKeys[j]); --j) {
                (guardianKeys[j - 1], guardianKeys[j]) = (guardianKeys[j], guardianKeys[j - 1]);
            }
        }
    }
}
