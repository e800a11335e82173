// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../points/BN254.sol";
import {Point} from "../points/Point.sol";
import {ICircuitVerifier} from "./ICircuitVerifier.sol";

/// @title One proof checker for a circuit that was cut into segments
/// @notice Each segment is a circuit with an adapter of its own. A proof is the segments' proofs one after the other, in
/// order, without anything between: each has one length. Vectors that several segments speak of are committed to by each
/// of them, and these commitments must be the same points; then all segments speak of the same vectors, whatever order
/// and whoever they were proven in and by. Every segment derives its challenge from the caller's context, so none can be
/// taken over from another context.
contract SegmentedCircuitVerifier is ICircuitVerifier {
    /// @notice A segment of the circuit.
    /// @param verifier Its adapter.
    /// @param proofLength Length of its part of a proof, in bytes.
    /// @param vkaWords Verifying key words it takes; zero for a plain verifier.
    struct Segment {
        ICircuitVerifier verifier;
        uint32 proofLength;
        uint32 vkaWords;
    }

    /// @notice A point of a proof: number `point` of those at the start of a segment's part.
    struct Place {
        uint16 segment;
        uint16 point;
    }

    /// @notice Two places that must hold the same point.
    struct Link {
        Place first;
        Place second;
    }

    /// @notice A part of the deployment is not what it must be.
    error InvalidSegments(string reason, uint256 index);
    /// @notice A segment's adapter refused its part of the proof, for its own reason.
    error SegmentRejected(uint256 segment, bytes reason);
    /// @notice Two segments commit to different vectors where they must commit to one.
    error LinkMismatch(uint256 link, Place first, Place second);
    /// @notice The verifying key words are not those of all segments together.
    error WrongVerifyingKeyLength(uint256 expected, uint256 actual);

    /// @inheritdoc ICircuitVerifier
    uint256 public immutable commitmentCount;
    /// @inheritdoc ICircuitVerifier
    uint256 public immutable proofLength;
    /// @notice Verifying key words of all segments together.
    uint256 public immutable vkaWords;

    Segment[] private _segments;
    Place[] private _outputs;
    Link[] private _links;

    /// @param segments_ The adapters of the segments, in order; trusted, and fixed for ever.
    /// @param vkaWords_ How many verifying key words each takes.
    /// @param outputs_ Where the commitments stand that `verify` returns, in the order it returns them.
    /// @param links_ Which points must be equal. Every segment is part of one: without, nothing would tie it to the others.
    constructor(
        ICircuitVerifier[] memory segments_,
        uint256[] memory vkaWords_,
        Place[] memory outputs_,
        Link[] memory links_
    ) {
        if (segments_.length < 2) {
            revert InvalidSegments("too few", segments_.length);
        }
        if (vkaWords_.length != segments_.length) revert InvalidSegments("key lengths", vkaWords_.length);
        if (outputs_.length == 0) revert InvalidSegments("no outputs", 0);
        uint256 bytes_ = 0;
        uint256 words = 0;
        for (uint256 i = 0; i < segments_.length; ++i) {
            ICircuitVerifier verifier = segments_[i];
            if (address(verifier).code.length == 0) revert InvalidSegments("no code", i);
            // Without a challenge a proof would be good in any context.
            if (verifier.challengePoints() == 0) revert InvalidSegments("no challenge", i);
            uint256 length = verifier.proofLength();
            if (length > type(uint32).max || vkaWords_[i] > type(uint32).max) {
                revert InvalidSegments("too long", i);
            }
            // Casting to 'uint32' is safe: both were compared with its largest value.
            // forge-lint: disable-next-line(unsafe-typecast)
            _segments.push(Segment(verifier, uint32(length), uint32(vkaWords_[i])));
            bytes_ += length;
            words += vkaWords_[i];
        }
        bool[] memory linked = new bool[](segments_.length);
        for (uint256 i = 0; i < links_.length; ++i) {
            Link memory link = links_[i];
            if (link.first.segment == link.second.segment) {
                revert InvalidSegments("link within a segment", i);
            }
            if (!_isCommitment(segments_, link.first) || !_isCommitment(segments_, link.second)) {
                revert InvalidSegments("link to nowhere", i);
            }
            linked[link.first.segment] = linked[link.second.segment] = true;
            _links.push(link);
        }
        for (uint256 i = 0; i < linked.length; ++i) {
            if (!linked[i]) revert InvalidSegments("not linked", i);
        }
        for (uint256 i = 0; i < outputs_.length; ++i) {
            if (!_isCommitment(segments_, outputs_[i])) revert InvalidSegments("output from nowhere", i);
            _outputs.push(outputs_[i]);
        }
        commitmentCount = outputs_.length;
        proofLength = bytes_;
        vkaWords = words;
    }

    /// @inheritdoc ICircuitVerifier
    function verify(bytes32 context, bytes calldata proof, bytes32[] calldata vka)
        external
        view
        returns (Point[] memory commitments)
    {
        if (proof.length != proofLength) revert WrongProofLength(proofLength, proof.length);
        if (vka.length != vkaWords) revert WrongVerifyingKeyLength(vkaWords, vka.length);
        Segment[] memory all = _segments;
        uint256[] memory starts = _starts(all);
        // Bytes are compared: a commitment has one encoding, which the adapters demand below.
        _requireLinks(proof, starts);
        uint256 word = 0;
        for (uint256 i = 0; i < all.length; ++i) {
            bytes calldata part = proof[starts[i]:starts[i] + all[i].proofLength];
            bytes32[] calldata key = vka[word:word + all[i].vkaWords];
            word += all[i].vkaWords;
            try all[i].verifier.verify(context, part, key) returns (Point[] memory) {}
            catch (bytes memory reason) {
                revert SegmentRejected(i, reason);
            }
        }
        commitments = new Point[](commitmentCount);
        for (uint256 i = 0; i < commitments.length; ++i) {
            commitments[i] = BN254.readPoint(proof, _offset(starts, _outputs[i]));
        }
    }

    /// @inheritdoc ICircuitVerifier
    /// @dev There is not one challenge, but one for each segment: ask its adapter.
    function challengeOf(bytes32, bytes calldata) external pure returns (uint256) {
        revert NoChallenge();
    }

    /// @inheritdoc ICircuitVerifier
    /// @dev Zero: each segment has a challenge of its own, over points of its own part.
    function challengePoints() external pure returns (uint256) {
        return 0;
    }

    /// @notice The segments, in the order of their parts of a proof.
    function segments() external view returns (Segment[] memory) {
        return _segments;
    }

    /// @notice Where the returned commitments stand.
    function outputs() external view returns (Place[] memory) {
        return _outputs;
    }

    /// @notice The places that must hold equal points.
    function links() external view returns (Link[] memory) {
        return _links;
    }

    /// @dev Whether a place is among the points that a segment's adapter checks to be commitments.
    function _isCommitment(ICircuitVerifier[] memory all, Place memory place) private view returns (bool) {
        return place.segment < all.length && place.point < all[place.segment].commitmentCount();
    }

    /// @dev Where each segment's part of a proof starts.
    function _starts(Segment[] memory all) private pure returns (uint256[] memory starts) {
        starts = new uint256[](all.length);
        for (uint256 i = 1; i < all.length; ++i) {
            starts[i] = starts[i - 1] + all[i - 1].proofLength;
        }
    }

    function _offset(uint256[] memory starts, Place memory place) private pure returns (uint256) {
        return starts[place.segment] + uint256(place.point) * BN254.POINT_BYTES;
    }

    function _requireLinks(bytes calldata proof, uint256[] memory starts) private view {
        uint256 count = _links.length;
        for (uint256 i = 0; i < count; ++i) {
            Link memory link = _links[i];
            Point memory first = BN254.readPoint(proof, _offset(starts, link.first));
            Point memory second = BN254.readPoint(proof, _offset(starts, link.second));
            if (!BN254.equal(first, second)) revert LinkMismatch(i, link.first, link.second);
        }
    }
}
