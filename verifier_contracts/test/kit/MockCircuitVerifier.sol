// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";

/// @dev Stands in for an adapter where only the hub is under test. A "proof" is the points and a seal, which is their
/// hash with the circuit's name; so it accepts whatever the test seals, and nothing that was changed afterwards.
contract MockCircuitVerifier is ICircuitVerifier {
    bytes32 public immutable circuit;
    uint256 public immutable commitmentCount;

    constructor(bytes32 circuit_, uint256 commitmentCount_) {
        circuit = circuit_;
        commitmentCount = commitmentCount_;
    }

    function proofLength() public view returns (uint256) {
        return commitmentCount * BN254.POINT_BYTES + 32;
    }

    function verify(bytes calldata proof, bytes32[] calldata) external view returns (Point[] memory) {
        if (proof.length != proofLength()) revert WrongProofLength(proofLength(), proof.length);
        uint256 body = proof.length - 32;
        if (bytes32(proof[body:]) != keccak256(abi.encode(circuit, proof[:body]))) revert ProofRejected();
        return BN254.readPoints(proof, commitmentCount);
    }

    /// @dev A proof this verifier accepts.
    function prove(Point[] memory points) external view returns (bytes memory) {
        bytes memory body;
        for (uint256 i = 0; i < points.length; ++i) {
            body = abi.encodePacked(body, points[i].x, points[i].y);
        }
        return bytes.concat(body, keccak256(abi.encode(circuit, body)));
    }
}
