// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../points/Point.sol";

/// @title One circuit's proof checker
/// @notice Verifies a proof of one fixed circuit with pinned public instances and hands back the commitments the
/// proof was made for. This is the only way a generated verifier is ever called: the generated code reads the
/// transcript from a calldata offset of the caller's choice and the points from fixed addresses, so raw calldata can
/// make it accept a false statement; an adapter re-encodes the call, which makes the offsets canonical.
interface ICircuitVerifier {
    /// @notice The proof does not have the one length that proofs of this circuit have.
    error WrongProofLength(uint256 expected, uint256 actual);
    /// @notice The generated verifier returned false or reverted.
    error ProofRejected();

    /// @notice Verifies `proof` and returns the first `commitmentCount()` points of it.
    /// @param proof The proof bytes as ezkl writes them; they start with the commitments, 64 bytes each.
    /// @param vka The verifying key words of a reusable verifier; empty for a plain one.
    /// @return commitments The committed inputs in circuit order, every one on the curve.
    /// @dev Reverts on anything but a valid proof, so a caller needs no return flag.
    function verify(bytes calldata proof, bytes32[] calldata vka)
        external
        view
        returns (Point[] memory commitments);

    /// @notice How many points `verify` returns.
    function commitmentCount() external view returns (uint256);

    /// @notice The exact length of a proof, in bytes.
    function proofLength() external view returns (uint256);
}
