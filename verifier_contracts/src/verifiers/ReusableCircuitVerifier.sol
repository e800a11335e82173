// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {CircuitVerifier} from "./CircuitVerifier.sol";

/// @dev What `ezkl create-evm-verifier --reusable` generates. Its third return value is not valid ABI, so only the
/// first two words of an answer are read, and the types here are of the arguments only.
interface IGeneratedReusableVerifier {
    function verifyProof(bytes calldata proof, uint256[] calldata instances, bytes32[] calldata vka)
        external
        view
        returns (bool success, bytes32 vkaDigest);
}

/// @title Adapter of a verifier that takes its verifying key in calldata
/// @dev Anyone may register any key with the generated verifier, which then accepts proofs under it. So this adapter
/// serves one key, by its digest.
contract ReusableCircuitVerifier is CircuitVerifier {
    /// @notice The verifying key is not the one this adapter serves.
    error UnpinnedVerifyingKey(bytes32 expected, bytes32 actual);

    /// @notice keccak256(abi.encodePacked(vka)) of the one verifying key served.
    bytes32 public immutable vkaDigest;

    constructor(
        address generated_,
        uint256[] memory instances_,
        uint256 commitmentCount_,
        uint256 challengePoints_,
        uint256 proofLength_,
        bytes32 vkaDigest_
    ) CircuitVerifier(generated_, instances_, commitmentCount_, challengePoints_, proofLength_) {
        vkaDigest = vkaDigest_;
    }

    /// @inheritdoc CircuitVerifier
    function _accepts(bytes calldata proof, uint256[] memory given, bytes32[] calldata vka)
        internal
        view
        override
        returns (bool)
    {
        bytes32 digest = keccak256(abi.encodePacked(vka));
        if (digest != vkaDigest) revert UnpinnedVerifyingKey(vkaDigest, digest);
        (bool ok, bytes memory answer) =
            generated.staticcall(abi.encodeCall(IGeneratedReusableVerifier.verifyProof, (proof, given, vka)));
        if (!ok || answer.length < 64) return false;
        (uint256 success, bytes32 served) = abi.decode(answer, (uint256, bytes32));
        return success == 1 && served == vkaDigest;
    }
}
