// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {CircuitVerifier} from "./CircuitVerifier.sol";

/// @dev What `ezkl create-evm-verifier` generates; declared view, so that it is called with STATICCALL.
interface IGeneratedVerifier {
    function verifyProof(bytes calldata proof, uint256[] calldata instances) external view returns (bool);
}

/// @title Adapter of a verifier with its verifying key in its code
contract PlainCircuitVerifier is CircuitVerifier {
    constructor(
        address generated_,
        uint256[] memory instances_,
        uint256 commitmentCount_,
        uint256 challengePoints_,
        uint256 proofLength_
    ) CircuitVerifier(generated_, instances_, commitmentCount_, challengePoints_, proofLength_) {}

    /// @inheritdoc CircuitVerifier
    function _accepts(bytes calldata proof, uint256[] memory given, bytes32[] calldata vka)
        internal
        view
        override
        returns (bool)
    {
        if (vka.length != 0) revert UnexpectedVerifyingKey(vka.length);
        // Low level, because a failing proof reverts without data and a typed try would still revert on malformed
        // return data; the arguments are encoded by the compiler, hence canonically.
        (bool ok, bytes memory answer) =
            generated.staticcall(abi.encodeCall(IGeneratedVerifier.verifyProof, (proof, given)));
        return ok && answer.length >= 32 && abi.decode(answer, (uint256)) == 1;
    }
}
