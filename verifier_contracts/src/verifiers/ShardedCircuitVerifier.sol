// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";
import {Point} from "../points/Point.sol";
import {ICircuitVerifier} from "./ICircuitVerifier.sol";

/// @title Proof checker of an average in shards: digits, checked by one small circuit, again and again
/// @notice An average is a division by a power of two, elementwise: of the weighted sum, to the base 2^bits, the lowest
/// digit is the remainder and the others are the quotient. The circuit says of `vectors` committed columns that every
/// element of theirs is a digit; it is proven once a shard, until all columns of all digits are. A proof is the shards'
/// proofs one after the other, without anything between: each has the same length. The quotient's commitment is a
/// weighted sum of its digits', which is added up here.
///
/// The columns are those of the remainder, then those of each digit of the quotient, the lowest first. What a shard has
/// room for beyond them is ignored. It is their places alone that say which digit a column is of: shards that were
/// swapped, repeated or taken from another average make up another remainder and another quotient, and are good for as
/// little as those are. So whoever calls must compare both with the sum that was to be divided, as the hub does; then
/// only one proof's commitments fit, in any context.
contract ShardedCircuitVerifier is ICircuitVerifier {
    /// @notice How an average is shared out.
    /// @param count Proofs.
    /// @param vectors Columns that each of them checks.
    /// @param points Points of a column in a proof; what comes after the first is of rows that no circuit reads.
    /// @param columns Columns of the vector that is averaged.
    /// @param digits Digits of an element of the sum, the remainder included.
    /// @param bits Bits of a digit.
    /// @param vkaWords Verifying key words that a proof takes; zero for a plain verifier.
    struct Shape {
        uint32 count;
        uint32 vectors;
        uint32 points;
        uint32 columns;
        uint32 digits;
        uint32 bits;
        uint32 vkaWords;
    }

    /// @notice A part of the deployment is not what it must be.
    error InvalidShards(string reason, uint256 value);
    /// @notice The adapter refused a shard's proof, for its own reason.
    error ShardRejected(uint256 shard, bytes reason);
    /// @notice The verifying key words are not those of the one circuit.
    error WrongVerifyingKeyLength(uint256 expected, uint256 actual);

    /// @notice The adapter of the circuit that all shards are proven with.
    ICircuitVerifier public immutable circuit;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable commitmentCount;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable proofLength;
    /// @notice Length of a shard's proof, in bytes.
    uint256 public immutable shardLength;

    Shape private _shape;
    Point private _offset;

    /// @param circuit_ The adapter; trusted, and fixed for ever.
    /// @param shape_ How the average is shared out.
    /// @param offset_ What a column of the digits' weighted sum exceeds the quotient's by: tails and the zero of
    /// numbers that may be negative.
    constructor(ICircuitVerifier circuit_, Shape memory shape_, Point memory offset_) {
        if (address(circuit_).code.length == 0) revert InvalidShards("no code", 0);
        // With a challenge it would return points that are no digits'.
        if (circuit_.challengePoints() != 0) revert InvalidShards("challenge", circuit_.challengePoints());
        if (shape_.columns == 0) revert InvalidShards("no columns", 0);
        if (shape_.digits < 2) revert InvalidShards("too few digits", shape_.digits);
        // No sum of a field element's length wraps around.
        if (shape_.bits == 0 || uint256(shape_.bits) * shape_.digits > 128) {
            revert InvalidShards("bits", shape_.bits);
        }
        if (shape_.points == 0 || shape_.vectors == 0) revert InvalidShards("no points", shape_.vectors);
        uint256 each = uint256(shape_.vectors) * shape_.points;
        if (circuit_.commitmentCount() != each) {
            revert InvalidShards("commitments", circuit_.commitmentCount());
        }
        uint256 needed = uint256(shape_.columns) * shape_.digits;
        uint256 least = (needed + shape_.vectors - 1) / shape_.vectors;
        if (shape_.count != least) revert InvalidShards("count", shape_.count);
        BN254.requireOnCurve(offset_);
        circuit = circuit_;
        commitmentCount = 2 * uint256(shape_.columns);
        shardLength = circuit_.proofLength();
        proofLength = shardLength * shape_.count;
        _shape = shape_;
        _offset = offset_;
    }

    /// @inheritdoc ICircuitVerifier
    /// @dev Remainder, then quotient. There is no challenge: `context` binds a proof to nothing.
    function verify(bytes32 context, bytes calldata proof, bytes32[] calldata vka)
        external
        view
        returns (Point[] memory commitments)
    {
        Shape memory l = _shape;
        if (proof.length != proofLength) revert WrongProofLength(proofLength, proof.length);
        if (vka.length != l.vkaWords) revert WrongVerifyingKeyLength(l.vkaWords, vka.length);
        Point[] memory all = new Point[](uint256(l.columns) * l.digits);
        for (uint256 i = 0; i < l.count; ++i) {
            Point[] memory found = _verified(i, context, proof, vka);
            for (uint256 v = 0; v < l.vectors && i * l.vectors + v < all.length; ++v) {
                all[i * l.vectors + v] = found[v * l.points];
            }
        }
        commitments = new Point[](commitmentCount);
        Point memory minusOffset = BN254.neg(_offset);
        for (uint256 c = 0; c < l.columns; ++c) {
            commitments[c] = all[c];
            commitments[l.columns + c] = BN254.add(_quotient(all, c, l), minusOffset);
        }
    }

    /// @inheritdoc ICircuitVerifier
    function challengeOf(bytes32, bytes calldata) external pure returns (uint256) {
        revert NoChallenge();
    }

    /// @inheritdoc ICircuitVerifier
    function challengePoints() external pure returns (uint256) {
        return 0;
    }

    /// @notice How the average is shared out.
    function shape() external view returns (Shape memory) {
        return _shape;
    }

    /// @notice What a column of the digits' weighted sum exceeds the quotient's by.
    function offset() external view returns (Point memory) {
        return _offset;
    }

    /// @dev The points of shard number `shard`, each on the curve.
    function _verified(uint256 shard, bytes32 context, bytes calldata proof, bytes32[] calldata vka)
        private
        view
        returns (Point[] memory)
    {
        uint256 start = shard * shardLength;
        try circuit.verify(context, proof[start:start + shardLength], vka) returns (Point[] memory found) {
            return found;
        } catch (bytes memory reason) {
            revert ShardRejected(shard, reason);
        }
    }

    /// @dev Column `c` of the quotient's digits, added up from the highest: Horner's rule.
    function _quotient(Point[] memory all, uint256 c, Shape memory l)
        private
        view
        returns (Point memory total)
    {
        total = all[(l.digits - 1) * l.columns + c];
        for (uint256 digit = l.digits - 2; digit > 0; --digit) {
            total = BN254.add(BN254.mul(total, 1 << l.bits), all[digit * l.columns + c]);
        }
    }
}
