// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";
import {Point} from "../points/Point.sol";
import {Challenge} from "./Challenge.sol";
import {ICircuitVerifier} from "./ICircuitVerifier.sol";

/// @title What both adapters share: pinned instances, challenge, exact proof length, commitments
abstract contract CircuitVerifier is ICircuitVerifier {
    /// @notice There is no code at the generated verifier's address.
    error NoVerifierCode(address verifier);
    /// @notice A public instance is not reduced modulo the group order.
    error InstanceOutOfField(uint256 index, uint256 instance);
    /// @notice A proof of this length cannot hold its commitments.
    error InvalidProofShape(uint256 commitmentCount, uint256 proofLength);
    /// @notice A challenge over this many points is over the late vector too, or over points that are not checked.
    error InvalidChallenge(uint256 challengePoints, uint256 commitmentCount);
    /// @notice A number of verifying key words that this kind of verifier does not take.
    error UnexpectedVerifyingKey(uint256 words);

    /// @notice The verifier contract that ezkl generated.
    address public immutable generated;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable commitmentCount;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable challengePoints;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable proofLength;

    uint256[] private _instances;

    /// @param generated_ The generated verifier; trusted, and fixed for ever.
    /// @param instances_ The public instances every proof is checked against, without the challenge.
    /// @param commitmentCount_ How many of the proof's first points are commitments to return.
    /// @param challengePoints_ How many of these the challenge follows from, not all; zero for no challenge.
    /// @param proofLength_ Length of a proof in bytes.
    constructor(
        address generated_,
        uint256[] memory instances_,
        uint256 commitmentCount_,
        uint256 challengePoints_,
        uint256 proofLength_
    ) {
        if (generated_.code.length == 0) revert NoVerifierCode(generated_);
        if (commitmentCount_ == 0 || proofLength_ / BN254.POINT_BYTES < commitmentCount_) {
            revert InvalidProofShape(commitmentCount_, proofLength_);
        }
        if (challengePoints_ >= commitmentCount_) {
            revert InvalidChallenge(challengePoints_, commitmentCount_);
        }
        for (uint256 i = 0; i < instances_.length; ++i) {
            if (instances_[i] >= BN254.GROUP_ORDER) revert InstanceOutOfField(i, instances_[i]);
        }
        generated = generated_;
        commitmentCount = commitmentCount_;
        challengePoints = challengePoints_;
        proofLength = proofLength_;
        _instances = instances_;
    }

    /// @inheritdoc ICircuitVerifier
    function verify(bytes32 context, bytes calldata proof, bytes32[] calldata vka)
        external
        view
        returns (Point[] memory)
    {
        _requireLength(proof);
        if (!_accepts(proof, _instancesOf(context, proof), vka)) revert ProofRejected();
        // The points of the challenge are among these, so it was made of canonical ones.
        return BN254.readPoints(proof, commitmentCount);
    }

    /// @inheritdoc ICircuitVerifier
    function challengeOf(bytes32 context, bytes calldata proof) external view returns (uint256) {
        if (challengePoints == 0) revert NoChallenge();
        _requireLength(proof);
        return Challenge.derive(context, proof, challengePoints);
    }

    /// @notice The public instances every proof is checked against; a challenge comes after them.
    function instances() external view returns (uint256[] memory) {
        return _instances;
    }

    function _requireLength(bytes calldata proof) private view {
        if (proof.length != proofLength) revert WrongProofLength(proofLength, proof.length);
    }

    /// @dev The pinned instances, followed by the challenge if there is one.
    function _instancesOf(bytes32 context, bytes calldata proof) private view returns (uint256[] memory all) {
        uint256[] memory pinned = _instances;
        if (challengePoints == 0) return pinned;
        all = new uint256[](pinned.length + 1);
        for (uint256 i = 0; i < pinned.length; ++i) {
            all[i] = pinned[i];
        }
        all[pinned.length] = Challenge.derive(context, proof, challengePoints);
    }

    /// @dev Calls the generated verifier with freshly encoded arguments; false if it returned false or reverted.
    function _accepts(bytes calldata proof, uint256[] memory given, bytes32[] calldata vka)
        internal
        view
        virtual
        returns (bool);
}
