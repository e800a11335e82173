// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";
import {Point} from "../points/Point.sol";
import {ICircuitVerifier} from "./ICircuitVerifier.sol";

/// @title What both adapters share: pinned instances, exact proof length, commitments read from the proof
abstract contract CircuitVerifier is ICircuitVerifier {
    /// @notice There is no code at the generated verifier's address.
    error NoVerifierCode(address verifier);
    /// @notice A public instance is not reduced modulo the group order.
    error InstanceOutOfField(uint256 index, uint256 instance);
    /// @notice A proof of this length cannot hold its commitments.
    error InvalidProofShape(uint256 commitmentCount, uint256 proofLength);
    /// @notice A number of verifying key words that this kind of verifier does not take.
    error UnexpectedVerifyingKey(uint256 words);

    /// @notice The verifier contract that ezkl generated.
    address public immutable generated;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable commitmentCount;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable proofLength;

    uint256[] private _instances;

    /// @param generated_ The generated verifier; trusted, and fixed for ever.
    /// @param instances_ The public instances every proof is checked against.
    /// @param commitmentCount_ How many of the proof's first points are commitments.
    /// @param proofLength_ Length of a proof in bytes.
    constructor(
        address generated_,
        uint256[] memory instances_,
        uint256 commitmentCount_,
        uint256 proofLength_
    ) {
        if (generated_.code.length == 0) revert NoVerifierCode(generated_);
        if (commitmentCount_ == 0 || proofLength_ / BN254.POINT_BYTES < commitmentCount_) {
            revert InvalidProofShape(commitmentCount_, proofLength_);
        }
        for (uint256 i = 0; i < instances_.length; ++i) {
            if (instances_[i] >= BN254.GROUP_ORDER) revert InstanceOutOfField(i, instances_[i]);
        }
        generated = generated_;
        commitmentCount = commitmentCount_;
        proofLength = proofLength_;
        _instances = instances_;
    }

    /// @inheritdoc ICircuitVerifier
    function verify(bytes calldata proof, bytes32[] calldata vka) external view returns (Point[] memory) {
        if (proof.length != proofLength) revert WrongProofLength(proofLength, proof.length);
        if (!_accepts(proof, _instances, vka)) revert ProofRejected();
        return BN254.readPoints(proof, commitmentCount);
    }

    /// @notice The public instances every proof is checked against.
    function instances() external view returns (uint256[] memory) {
        return _instances;
    }

    /// @dev Calls the generated verifier with freshly encoded arguments; false if it returned false or reverted.
    function _accepts(bytes calldata proof, uint256[] memory pinned, bytes32[] calldata vka)
        internal
        view
        virtual
        returns (bool);
}
