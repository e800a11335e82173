// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../points/Point.sol";

/// @title One circuit's proof checker
/// @notice Verifies a proof of one fixed circuit with pinned public instances and hands back the commitments the
/// proof was made for. This is the only way a generated verifier is ever called: the generated code reads the
/// transcript from a calldata offset of the caller's choice and the points from fixed addresses, so raw calldata can
/// make it accept a false statement; an adapter re-encodes the call, which makes the offsets canonical.
///
/// A circuit may have a challenge: a public number, the last instance, at which it checks equations between the
/// vectors committed before. It follows from their commitments and from a context of the caller's (see `challengeOf`),
/// so it cannot be known before them, and a proof made for one context is worthless in another. The last vector, the
/// late one, holds the challenge itself and is not part of what it follows from.
interface ICircuitVerifier {
    /// @notice The proof does not have the one length that proofs of this circuit have.
    error WrongProofLength(uint256 expected, uint256 actual);
    /// @notice The generated verifier returned false or reverted.
    error ProofRejected();
    /// @notice The circuit has no challenge.
    error NoChallenge();

    /// @notice Verifies `proof` and returns the first `commitmentCount()` points of it.
    /// @param context What the proof must have been made for, if the circuit has a challenge; ignored if it has none.
    /// @param proof The proof bytes as ezkl writes them; they start with the commitments, 64 bytes each.
    /// @param vka The verifying key words of a reusable verifier; empty for a plain one.
    /// @return commitments The committed inputs in circuit order, every one on the curve.
    /// @dev Reverts on anything but a valid proof, so a caller needs no return flag.
    function verify(bytes32 context, bytes calldata proof, bytes32[] calldata vka)
        external
        view
        returns (Point[] memory commitments);

    /// @notice The challenge of a proof in a context:
    /// uint256(keccak256(abi.encode(bytes32 context, Point[] points))) modulo the group order, where `points` are the
    /// first `challengePoints()` points of the proof.
    /// @dev Says nothing about the proof but that it has the right length. Reverts for a circuit without a challenge.
    function challengeOf(bytes32 context, bytes calldata proof) external view returns (uint256);

    /// @notice How many points `verify` returns.
    function commitmentCount() external view returns (uint256);

    /// @notice How many of a proof's first points the challenge follows from; zero for a circuit without a challenge.
    function challengePoints() external view returns (uint256);

    /// @notice The exact length of a proof, in bytes.
    function proofLength() external view returns (uint256);
}
