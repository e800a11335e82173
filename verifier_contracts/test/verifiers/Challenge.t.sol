// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {CircuitVerifier} from "../../src/verifiers/CircuitVerifier.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {PlainCircuitVerifier} from "../../src/verifiers/PlainCircuitVerifier.sol";
import {ReusableCircuitVerifier} from "../../src/verifiers/ReusableCircuitVerifier.sol";
import {FakeGenerated} from "../kit/FakeGenerated.sol";
import {Test} from "../kit/Test.sol";

/// @dev Adapters of circuits with a challenge over the first three of four points.
contract ChallengeTest is Test {
    uint256 private constant COUNT = 4;
    uint256 private constant HASHED = 3;
    uint256 private constant LENGTH = COUNT * 64 + 7;
    bytes32 private constant CONTEXT = keccak256("context");
    uint256 private constant EXPECTED =
        7021655084766123365547018046868607322093939950333287332151005070156576810562;
    uint256[] private pinned;
    bytes32[] private vka;
    bytes32[] private none;

    function setUp() external {
        pinned.push(42);
        pinned.push(7);
        vka.push("one");
    }

    function test_theChallengeIsTheOneThatPythonComputes() external {
        // The same numbers stand in tests/commitments/test_commitments_challenge.py.
        ICircuitVerifier adapter = _adapter(address(new FakeGenerated("")));
        uint256 challenge = adapter.challengeOf(bytes32(uint256(0xc0ffee)), _proof([uint256(1), 2, 3, 4]));
        vm.assertEq(challenge, EXPECTED);
    }

    function testFuzz_theChallengeIsTheHashOfContextAndPoints(bytes32 context, uint256[8] memory words)
        external
    {
        Point[] memory points = new Point[](HASHED);
        for (uint256 i = 0; i < HASHED; ++i) {
            points[i] = Point(words[2 * i], words[2 * i + 1]);
        }
        uint256 expected = uint256(keccak256(abi.encode(context, points))) % R;
        bytes memory proof = abi.encodePacked(words, bytes7("seven"));
        ICircuitVerifier adapter = _adapter(address(new FakeGenerated("")));
        vm.assertEq(adapter.challengeOf(context, proof), expected);
        vm.assertLt(expected, R, "a public instance is a field element");
    }

    function testFuzz_everyHashedByteChangesTheChallenge(uint256 place, uint8 flip) external {
        ICircuitVerifier adapter = _adapter(address(new FakeGenerated("")));
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        uint256 honest = adapter.challengeOf(CONTEXT, proof);
        place = bound(place, 0, HASHED * 64 - 1);
        proof[place] ^= bytes1(flip | 1);
        vm.assertTrue(adapter.challengeOf(CONTEXT, proof) != honest);
    }

    function test_theChallengeDoesNotDependOnWhatComesLater() external {
        ICircuitVerifier adapter = _adapter(address(new FakeGenerated("")));
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        bytes memory other = _proof([uint256(1), 2, 3, 5]);
        other[LENGTH - 1] ^= 0x01;
        vm.assertEq(adapter.challengeOf(CONTEXT, proof), adapter.challengeOf(CONTEXT, other));
    }

    function test_theChallengeDependsOnTheContextAndTheOrderOfPoints() external {
        ICircuitVerifier adapter = _adapter(address(new FakeGenerated("")));
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        uint256 honest = adapter.challengeOf(CONTEXT, proof);
        vm.assertTrue(adapter.challengeOf(keccak256("another"), proof) != honest);
        vm.assertTrue(adapter.challengeOf(CONTEXT, _proof([uint256(2), 1, 3, 4])) != honest);
    }

    function test_theChallengeComesAfterThePinnedInstances() external {
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        uint256[] memory given = _withChallenge(CONTEXT, proof);
        vm.assertEq(given.length, 3);
        ICircuitVerifier adapter = _adapter(
            address(new FakeGenerated(abi.encodeWithSignature("verifyProof(bytes,uint256[])", proof, given)))
        );
        Point[] memory points = adapter.verify(CONTEXT, proof, none);
        vm.assertEq(points.length, COUNT);
        for (uint256 i = 0; i < COUNT; ++i) {
            assertPoint(points[i], g(i + 1));
        }
        vm.assertEq(CircuitVerifier(address(adapter)).instances().length, 2);
        // The generated verifier would be called with another challenge, which it does not accept.
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        adapter.verify(keccak256("another"), proof, none);
    }

    function test_theReusableVerifierIsGivenTheChallengeToo() external {
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        FakeGenerated generated = new FakeGenerated(
            abi.encodeWithSignature(
                "verifyProof(bytes,uint256[],bytes32[])", proof, _withChallenge(CONTEXT, proof), vka
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(vka));
        generated.set(abi.encodePacked(uint256(1), digest), false);
        ReusableCircuitVerifier adapter =
            new ReusableCircuitVerifier(address(generated), pinned, COUNT, HASHED, LENGTH, digest);
        vm.assertEq(adapter.verify(CONTEXT, proof, vka).length, COUNT);
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        adapter.verify(0, proof, vka);
    }

    function test_withoutAChallengeTheContextIsIgnored() external {
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        FakeGenerated generated =
            new FakeGenerated(abi.encodeWithSignature("verifyProof(bytes,uint256[])", proof, pinned));
        PlainCircuitVerifier adapter = new PlainCircuitVerifier(address(generated), pinned, COUNT, 0, LENGTH);
        assertPoints(adapter.verify(CONTEXT, proof, none), adapter.verify(0, proof, none));
        vm.assertEq(adapter.challengePoints(), 0);
        vm.expectRevert(ICircuitVerifier.NoChallenge.selector);
        adapter.challengeOf(CONTEXT, proof);
    }

    function test_rejects_aChallengeOfPointsThatAreNotReduced() external {
        // Another encoding of a commitment would be another challenge for it.
        bytes memory proof = _proof([uint256(1), 2, 3, 4]);
        uint256 x = 1 + BN254.FIELD_MODULUS;
        assembly ("memory-safe") {
            mstore(add(proof, 0x20), x)
        }
        FakeGenerated lenient = new FakeGenerated(
            abi.encodeWithSignature("verifyProof(bytes,uint256[])", proof, _withChallenge(CONTEXT, proof))
        );
        ICircuitVerifier adapter = _adapter(address(lenient));
        vm.expectRevert(abi.encodeWithSelector(BN254.NotOnCurve.selector, x, 2));
        adapter.verify(CONTEXT, proof, none);
    }

    function test_rejects_aProofOfAnotherLength() external {
        ICircuitVerifier adapter = _adapter(address(new FakeGenerated("")));
        vm.expectRevert(abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, LENGTH, 64));
        adapter.challengeOf(CONTEXT, new bytes(64));
    }

    function test_rejects_aChallengeThatLeavesNoLateVector() external {
        address generated = address(new FakeGenerated(""));
        for (uint256 points = COUNT; points < COUNT + 2; ++points) {
            vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.InvalidChallenge.selector, points, COUNT));
            new PlainCircuitVerifier(generated, pinned, COUNT, points, LENGTH);
            vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.InvalidChallenge.selector, points, COUNT));
            new ReusableCircuitVerifier(generated, pinned, COUNT, points, LENGTH, 0);
        }
    }

    function _adapter(address generated) private returns (ICircuitVerifier) {
        return new PlainCircuitVerifier(generated, pinned, COUNT, HASHED, LENGTH);
    }

    function _proof(uint256[4] memory scalars) private view returns (bytes memory proof) {
        for (uint256 i = 0; i < COUNT; ++i) {
            Point memory p = g(scalars[i]);
            proof = abi.encodePacked(proof, p.x, p.y);
        }
        proof = bytes.concat(proof, bytes7("seven"));
    }

    /// @dev What the generated verifier should be given, by abi.encode.
    function _withChallenge(bytes32 context, bytes memory proof)
        private
        view
        returns (uint256[] memory given)
    {
        Point[] memory points = new Point[](HASHED);
        for (uint256 i = 0; i < HASHED; ++i) {
            (uint256 x, uint256 y) = (0, 0);
            uint256 place = 32 + 64 * i;
            assembly ("memory-safe") {
                x := mload(add(proof, place))
                y := mload(add(proof, add(place, 32)))
            }
            points[i] = Point(x, y);
        }
        given = new uint256[](3);
        (given[0], given[1]) = (pinned[0], pinned[1]);
        given[2] = uint256(keccak256(abi.encode(context, points))) % R;
    }
}
