// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {ReusableCircuitVerifier} from "../../src/verifiers/ReusableCircuitVerifier.sol";
import {ShardedCircuitVerifier} from "../../src/verifiers/ShardedCircuitVerifier.sol";
import {FakeGenerated} from "../kit/FakeGenerated.sol";
import {MockCircuitVerifier} from "../kit/MockCircuitVerifier.sol";
import {Test} from "../kit/Test.sol";

/// @dev A vector of two columns, three digits of four bits: six columns of digits, two to a proof. Columns are, as
/// multiples of G: remainder 10 and 11, low digit 20 and 21, high digit 30 and 31.
contract ShardedTest is Test {
    bytes32 private constant CONTEXT = keccak256("context");
    uint32 private constant BITS = 4;
    uint256 private constant OFFSET = 7;
    bytes32[] private none;
    MockCircuitVerifier private circuit;
    ShardedCircuitVerifier private whole;
    ShardedCircuitVerifier.Shape private shape;

    function setUp() external {
        circuit = new MockCircuitVerifier("digits", 2, 0);
        shape = ShardedCircuitVerifier.Shape(3, 2, 1, 2, 3, BITS, 0);
        whole = _deploy();
    }

    function test_remainderAndQuotientAreReturned() external view {
        Point[] memory points = whole.verify(CONTEXT, _honest(), none);
        vm.assertEq(points.length, 4);
        assertPoint(points[0], g(10));
        assertPoint(points[1], g(11));
        assertPoint(points[2], g(20 + 16 * 30 - OFFSET));
        assertPoint(points[3], g(21 + 16 * 31 - OFFSET));
    }

    function testFuzz_theQuotientIsTheSumOfItsDigits(uint32[6] memory digits, uint32 offset) external {
        whole = new ShardedCircuitVerifier(circuit, shape, g(offset));
        Point[] memory points = whole.verify(
            CONTEXT,
            bytes.concat(
                _shard(digits[0], digits[1]), _shard(digits[2], digits[3]), _shard(digits[4], digits[5])
            ),
            none
        );
        for (uint256 c = 0; c < 2; ++c) {
            assertPoint(points[c], g(digits[c]));
            uint256 quotient = uint256(digits[2 + c]) + 16 * uint256(digits[4 + c]);
            assertPoint(points[2 + c], BN254.sub(g(quotient), g(offset)));
        }
    }

    function test_itSaysWhatItChecks() external {
        vm.assertEq(whole.commitmentCount(), 4);
        vm.assertEq(whole.shardLength(), 2 * 64 + 32);
        vm.assertEq(whole.proofLength(), 3 * whole.shardLength());
        vm.assertEq(whole.challengePoints(), 0);
        vm.assertEq(address(whole.circuit()), address(circuit));
        vm.assertEq(whole.shape().digits, 3);
        assertPoint(whole.offset(), g(OFFSET));
        bytes memory proof = _honest();
        vm.expectRevert(ICircuitVerifier.NoChallenge.selector);
        whole.challengeOf(CONTEXT, proof);
    }

    function test_inOtherPlacesShardsMakeUpAnotherAverage() external view {
        // Swapped, repeated: true proofs of digits, but of another remainder and another quotient.
        bytes memory a = _shard(10, 11);
        bytes memory b = _shard(20, 21);
        bytes memory c = _shard(30, 31);
        Point[] memory swapped = whole.verify(CONTEXT, bytes.concat(a, c, b), none);
        assertPoint(swapped[2], g(30 + 16 * 20 - OFFSET));
        Point[] memory repeated = whole.verify(CONTEXT, bytes.concat(a, a, c), none);
        assertPoint(repeated[2], g(10 + 16 * 30 - OFFSET));
        Point[] memory first = whole.verify(CONTEXT, bytes.concat(b, a, c), none);
        assertPoint(first[0], g(20));
    }

    function test_aContextBindsToNothing() external view {
        assertPoints(
            whole.verify(CONTEXT, _honest(), none), whole.verify(keccak256("another"), _honest(), none)
        );
    }

    function test_rejects_aMissingShardAndOneTooMany() external {
        bytes memory a = _shard(10, 11);
        uint256 length = whole.proofLength();
        vm.expectRevert(
            abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, length, 2 * a.length)
        );
        whole.verify(CONTEXT, bytes.concat(a, a), none);
        vm.expectRevert(
            abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, length, 4 * a.length)
        );
        whole.verify(CONTEXT, bytes.concat(a, a, a, a), none);
    }

    function testFuzz_rejects_aChangedShard(uint256 place, uint8 change) external {
        bytes memory proof = _honest();
        place = bound(place, 0, proof.length - 1);
        vm.assume(change != 0);
        proof[place] ^= bytes1(change);
        _expectRejection(place / whole.shardLength());
        whole.verify(CONTEXT, proof, none);
    }

    function test_rejects_aShardOfAnotherCircuit() external {
        MockCircuitVerifier other = new MockCircuitVerifier("wider digits", 2, 0);
        bytes memory foreign = other.prove(CONTEXT, _points(20, 21));
        bytes memory proof = bytes.concat(_shard(10, 11), foreign, _shard(30, 31));
        _expectRejection(1);
        whole.verify(CONTEXT, proof, none);
    }

    function test_whatTheLastShardHasRoomForIsIgnored() external {
        // One column, three digits, two to a proof: the fourth column means nothing.
        shape = ShardedCircuitVerifier.Shape(2, 2, 1, 1, 3, BITS, 0);
        whole = _deploy();
        Point[] memory one = whole.verify(CONTEXT, bytes.concat(_shard(10, 20), _shard(30, 1)), none);
        Point[] memory two = whole.verify(CONTEXT, bytes.concat(_shard(10, 20), _shard(30, 99)), none);
        assertPoints(one, two);
        assertPoint(one[1], g(20 + 16 * 30 - OFFSET));
    }

    function test_ofAFullColumnTheFirstPointCounts() external {
        // The second is of rows behind the column, which no circuit reads: whatever stands there is not added.
        shape = ShardedCircuitVerifier.Shape(2, 1, 2, 1, 2, BITS, 0);
        whole = _deploy();
        Point[] memory points = whole.verify(CONTEXT, bytes.concat(_shard(10, 99), _shard(20, 98)), none);
        assertPoint(points[0], g(10));
        assertPoint(points[1], BN254.sub(g(20), g(OFFSET)));
    }

    function test_theKeyIsGivenOnceForAllShards() external {
        bytes32[] memory key = new bytes32[](2);
        (key[0], key[1]) = ("one", "two");
        bytes32 digest = keccak256(abi.encodePacked(key));
        bytes memory proof = abi.encodePacked(g(10).x, g(10).y, g(20).x, g(20).y);
        uint256[] memory pinned = new uint256[](0);
        FakeGenerated generated = new FakeGenerated(
            abi.encodeWithSignature("verifyProof(bytes,uint256[],bytes32[])", proof, pinned, key)
        );
        generated.set(abi.encodePacked(uint256(1), digest), false);
        shape = ShardedCircuitVerifier.Shape(3, 2, 1, 2, 3, BITS, 2);
        whole = new ShardedCircuitVerifier(
            new ReusableCircuitVerifier(address(generated), pinned, 2, 0, proof.length, digest),
            shape,
            g(OFFSET)
        );
        bytes memory joined = bytes.concat(proof, proof, proof);
        vm.assertEq(whole.verify(CONTEXT, joined, key).length, 4);
        bytes32[] memory twice = new bytes32[](4);
        vm.expectRevert(abi.encodeWithSelector(ShardedCircuitVerifier.WrongVerifyingKeyLength.selector, 2, 4));
        whole.verify(CONTEXT, joined, twice);
        key[1] = "another";
        vm.expectPartialRevert(ShardedCircuitVerifier.ShardRejected.selector);
        whole.verify(CONTEXT, joined, key);
    }

    function test_rejects_deploymentsThatCannotWork() external {
        shape.count = 2;
        _expectInvalid("count", 2);
        shape.count = 4;
        _expectInvalid("count", 4);
        shape.count = 3;
        shape.points = 2;
        _expectInvalid("commitments", 2);
        (shape.points, shape.vectors) = (1, 0);
        _expectInvalid("no points", 0);
        (shape.vectors, shape.bits) = (2, 0);
        _expectInvalid("bits", 0);
        shape.bits = 43;
        _expectInvalid("bits", 43);
        (shape.bits, shape.digits) = (BITS, 1);
        _expectInvalid("too few digits", 1);
        (shape.digits, shape.columns) = (3, 0);
        _expectInvalid("no columns", 0);
        shape.columns = 2;
        // A challenge would be over points that are no digits'.
        circuit = new MockCircuitVerifier("digits", 2, 1);
        _expectInvalid("challenge", 1);
        circuit = MockCircuitVerifier(address(1234));
        _expectInvalid("no code", 0);
        circuit = new MockCircuitVerifier("digits", 2, 0);
        vm.expectPartialRevert(BN254.NotOnCurve.selector);
        new ShardedCircuitVerifier(circuit, shape, Point(1, 1));
    }

    // -- making proofs ---------------------------------------------------------------------------------------

    function _deploy() private returns (ShardedCircuitVerifier) {
        return new ShardedCircuitVerifier(circuit, shape, g(OFFSET));
    }

    function _honest() private view returns (bytes memory) {
        return bytes.concat(_shard(10, 11), _shard(20, 21), _shard(30, 31));
    }

    function _shard(uint256 a, uint256 b) private view returns (bytes memory) {
        return circuit.prove(CONTEXT, _points(a, b));
    }

    function _points(uint256 a, uint256 b) private view returns (Point[] memory points) {
        points = new Point[](2);
        (points[0], points[1]) = (g(a), g(b));
    }

    // -- what is expected ------------------------------------------------------------------------------------

    function _expectRejection(uint256 shard) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                ShardedCircuitVerifier.ShardRejected.selector,
                shard,
                abi.encodeWithSelector(ICircuitVerifier.ProofRejected.selector)
            )
        );
    }

    function _expectInvalid(string memory reason, uint256 value) private {
        Point memory offset = g(OFFSET);
        vm.expectRevert(abi.encodeWithSelector(ShardedCircuitVerifier.InvalidShards.selector, reason, value));
        new ShardedCircuitVerifier(circuit, shape, offset);
    }
}
