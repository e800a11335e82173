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

contract AdaptersTest is Test {
    uint256 private constant LENGTH = 3 * 64 + 7;
    bytes private proof;
    bytes32[] private vka;
    bytes32[] private none;
    uint256[] private instances;
    FakeGenerated private plain;
    FakeGenerated private reusable;
    PlainCircuitVerifier private plainAdapter;
    ReusableCircuitVerifier private reusableAdapter;

    function setUp() external {
        proof = abi.encodePacked(abi.encode(g(5), g(6), g(7)), bytes7("seven"));
        vka.push("one");
        vka.push("two");
        instances.push(42);
        plain = new FakeGenerated(abi.encodeWithSignature("verifyProof(bytes,uint256[])", proof, instances));
        reusable = new FakeGenerated(
            abi.encodeWithSignature("verifyProof(bytes,uint256[],bytes32[])", proof, instances, vka)
        );
        bytes32 digest = keccak256(abi.encodePacked(vka));
        reusable.set(abi.encodePacked(uint256(1), digest, "not abi"), false);
        plainAdapter = new PlainCircuitVerifier(address(plain), instances, 2, 0, LENGTH);
        reusableAdapter = new ReusableCircuitVerifier(address(reusable), instances, 2, 0, LENGTH, digest);
    }

    function test_theCommitmentsAreReadFromTheProof() external view {
        Point[] memory points = plainAdapter.verify(0, proof, none);
        vm.assertEq(points.length, 2);
        assertPoint(points[0], g(5));
        assertPoint(points[1], g(6));
        assertPoints(reusableAdapter.verify(0, proof, vka), points);
    }

    function test_theCallIsAlwaysEncodedCanonically() external view {
        // The caller encodes its arguments in an odd order, with the offsets pointing past a gap.
        bytes memory data = abi.encodePacked(
            ICircuitVerifier.verify.selector,
            uint256(0),
            uint256(0xc0),
            uint256(0x80),
            "padding.........................",
            uint256(0),
            uint256(0)
        );
        // Layout after the selector: 0x00 context, 0x20 offset of proof, 0x40 offset of vka, 0x60 padding, 0x80 empty vka, 0xc0 proof.
        bytes memory padded = bytes.concat(data, abi.encodePacked(proof.length, proof, new bytes(25)));
        (bool ok, bytes memory answer) = address(plainAdapter).staticcall(padded);
        vm.assertTrue(ok);
        assertPoints(abi.decode(answer, (Point[])), plainAdapter.verify(0, proof, none));
    }

    function test_rejects_aProofOfAnotherLength() external {
        bytes memory longer = bytes.concat(proof, hex"00");
        vm.expectRevert(
            abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, LENGTH, LENGTH + 1)
        );
        plainAdapter.verify(0, longer, none);
        vm.expectRevert(abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, LENGTH, 0));
        plainAdapter.verify(0, "", none);
        vm.expectRevert(
            abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, LENGTH, LENGTH + 1)
        );
        reusableAdapter.verify(0, longer, vka);
    }

    function test_rejects_whatTheGeneratedVerifierRejects() external {
        plain.set("", true);
        _expectPlainRejection();
        plain.set(abi.encode(true), true);
        _expectPlainRejection();
        plain.set(abi.encode(false), false);
        _expectPlainRejection();
        reusable.set("", true);
        _expectReusableRejection();
        reusable.set(abi.encodePacked(uint256(1), keccak256(abi.encodePacked(vka))), true);
        _expectReusableRejection();
        reusable.set(abi.encodePacked(uint256(0), keccak256(abi.encodePacked(vka))), false);
        _expectReusableRejection();
    }

    function test_rejects_malformedAnswers() external {
        plain.set("", false);
        _expectPlainRejection();
        plain.set(hex"01", false);
        _expectPlainRejection();
        plain.set(abi.encode(2), false);
        _expectPlainRejection();
        reusable.set(abi.encode(true), false);
        _expectReusableRejection();
        reusable.set(abi.encode(true, "another digest"), false);
        _expectReusableRejection();
    }

    function test_rejects_commitmentsOffTheCurve() external {
        bytes memory bad = abi.encodePacked(abi.encode(g(5), Point(1, 1), g(7)), bytes7("seven"));
        FakeGenerated lenient =
            new FakeGenerated(abi.encodeWithSignature("verifyProof(bytes,uint256[])", bad, instances));
        PlainCircuitVerifier adapter = new PlainCircuitVerifier(address(lenient), instances, 2, 0, LENGTH);
        vm.expectRevert(abi.encodeWithSelector(BN254.NotOnCurve.selector, 1, 1));
        adapter.verify(0, bad, none);
    }

    function test_rejects_anUnpinnedVerifyingKey() external {
        bytes32 expected = reusableAdapter.vkaDigest();
        bytes32[] memory other = new bytes32[](2);
        (other[0], other[1]) = ("one", "three");
        _expectUnpinned(expected, other);
        _expectUnpinned(expected, none);
        other = new bytes32[](3);
        (other[0], other[1]) = ("one", "two");
        _expectUnpinned(expected, other);
    }

    function test_rejects_aVerifyingKeyForAPlainVerifier() external {
        vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.UnexpectedVerifyingKey.selector, 2));
        plainAdapter.verify(0, proof, vka);
    }

    function test_rejects_deploymentsThatCannotWork() external {
        vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.NoVerifierCode.selector, address(1234)));
        new PlainCircuitVerifier(address(1234), instances, 2, 0, LENGTH);
        vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.InvalidProofShape.selector, 4, LENGTH));
        new PlainCircuitVerifier(address(plain), instances, 4, 0, LENGTH);
        vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.InvalidProofShape.selector, 0, LENGTH));
        new PlainCircuitVerifier(address(plain), instances, 0, 0, LENGTH);
        instances[0] = R;
        vm.expectRevert(abi.encodeWithSelector(CircuitVerifier.InstanceOutOfField.selector, 0, R));
        new PlainCircuitVerifier(address(plain), instances, 2, 0, LENGTH);
    }

    function test_thePinnedValuesCanBeRead() external view {
        vm.assertEq(plainAdapter.generated(), address(plain));
        vm.assertEq(plainAdapter.commitmentCount(), 2);
        vm.assertEq(plainAdapter.proofLength(), LENGTH);
        vm.assertEq(plainAdapter.instances()[0], 42);
    }

    function _expectPlainRejection() private {
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        plainAdapter.verify(0, proof, none);
    }

    function _expectReusableRejection() private {
        vm.expectRevert(ICircuitVerifier.ProofRejected.selector);
        reusableAdapter.verify(0, proof, vka);
    }

    function _expectUnpinned(bytes32 expected, bytes32[] memory other) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                ReusableCircuitVerifier.UnpinnedVerifyingKey.selector,
                expected,
                keccak256(abi.encodePacked(other))
            )
        );
        reusableAdapter.verify(0, proof, other);
    }
}
