// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {Challenge} from "../../src/verifiers/Challenge.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";

/// @dev Stands in for an adapter where only the hub is under test. A "proof" is the points and a seal, which is their
/// hash with the circuit's name and its challenge (zero without one); so it accepts whatever the test seals, and
/// nothing that was changed afterwards or sealed in another context.
contract MockCircuitVerifier is ICircuitVerifier {
    bytes32 public immutable circuit;
    uint256 public immutable commitmentCount;
    uint256 public immutable challengePoints;

    constructor(bytes32 circuit_, uint256 commitmentCount_, uint256 challengePoints_) {
        circuit = circuit_;
        commitmentCount = commitmentCount_;
        challengePoints = challengePoints_;
    }

    function proofLength() public view returns (uint256) {
        return commitmentCount * BN254.POINT_BYTES + 32;
    }

    function challengeOf(bytes32 context, bytes calldata proof) public view returns (uint256) {
        if (challengePoints == 0) revert NoChallenge();
        return Challenge.derive(context, proof, challengePoints);
    }

    function verify(bytes32 context, bytes calldata proof, bytes32[] calldata)
        external
        view
        returns (Point[] memory)
    {
        if (proof.length != proofLength()) revert WrongProofLength(proofLength(), proof.length);
        uint256 body = proof.length - 32;
        if (bytes32(proof[body:]) != sealOf(context, proof[:body])) revert ProofRejected();
        return BN254.readPoints(proof, commitmentCount);
    }

    function sealOf(bytes32 context, bytes calldata body) public view returns (bytes32) {
        uint256 challenge = challengePoints == 0 ? 0 : challengeOf(context, body);
        return keccak256(abi.encode(circuit, challenge, body));
    }

    /// @dev A proof this verifier accepts in `context`; in any, if it has no challenge.
    function prove(bytes32 context, Point[] memory points) external view returns (bytes memory) {
        bytes memory body;
        for (uint256 i = 0; i < points.length; ++i) {
            body = abi.encodePacked(body, points[i].x, points[i].y);
        }
        return bytes.concat(body, this.sealOf(context, body));
    }
}
