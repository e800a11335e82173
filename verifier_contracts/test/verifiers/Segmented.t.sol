// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {BN254} from "../../src/points/BN254.sol";
import {Point} from "../../src/points/Point.sol";
import {ICircuitVerifier} from "../../src/verifiers/ICircuitVerifier.sol";
import {PlainCircuitVerifier} from "../../src/verifiers/PlainCircuitVerifier.sol";
import {ReusableCircuitVerifier} from "../../src/verifiers/ReusableCircuitVerifier.sol";
import {SegmentedCircuitVerifier} from "../../src/verifiers/SegmentedCircuitVerifier.sol";
import {FakeGenerated} from "../kit/FakeGenerated.sol";
import {MockCircuitVerifier} from "../kit/MockCircuitVerifier.sol";
import {Test} from "../kit/Test.sol";

/// @dev Three segments: (model, batch, link, advice, late), (batch, step, link, advice, late), (model, link, advice,
/// late). The last points are each segment's own.
contract SegmentedTest is Test {
    bytes32 private constant CONTEXT = keccak256("context");
    bytes32[] private none;
    MockCircuitVerifier[3] private parts;
    SegmentedCircuitVerifier private whole;
    ICircuitVerifier[] private adapters;
    uint256[] private words;
    SegmentedCircuitVerifier.Place[] private outputs;
    SegmentedCircuitVerifier.Link[] private links;

    function setUp() external {
        parts[0] = new MockCircuitVerifier("first", 5, 4);
        parts[1] = new MockCircuitVerifier("second", 5, 4);
        parts[2] = new MockCircuitVerifier("third", 4, 3);
        for (uint256 i = 0; i < 3; ++i) {
            adapters.push(parts[i]);
            words.push(0);
        }
        outputs.push(_place(0, 0));
        outputs.push(_place(0, 1));
        outputs.push(_place(1, 1));
        links.push(_link(0, 0, 2, 0)); // model
        links.push(_link(0, 1, 1, 0)); // batch
        links.push(_link(0, 2, 1, 2)); // link, in all three
        links.push(_link(0, 2, 2, 1));
        whole = _deploy();
    }

    function test_theCommitmentsOfAllSegmentsAreReturnedInOrder() external view {
        Point[] memory points = whole.verify(CONTEXT, _honest(), none);
        vm.assertEq(points.length, 3);
        assertPoint(points[0], g(10));
        assertPoint(points[1], g(20));
        assertPoint(points[2], g(30));
    }

    function test_itSaysWhatItChecks() external {
        vm.assertEq(whole.commitmentCount(), 3);
        vm.assertEq(whole.proofLength(), 14 * 64 + 3 * 32);
        vm.assertEq(whole.challengePoints(), 0);
        vm.assertEq(whole.segments().length, 3);
        vm.assertEq(address(whole.segments()[1].verifier), address(parts[1]));
        vm.assertEq(whole.links().length, 4);
        vm.assertEq(whole.links()[3].second.segment, 2);
        vm.assertEq(whole.outputs()[2].point, 1);
        bytes memory proof = _honest();
        vm.expectRevert(ICircuitVerifier.NoChallenge.selector);
        whole.challengeOf(CONTEXT, proof);
    }

    function test_rejects_everyBrokenLink() external {
        // Segment by segment another vector, proven honestly: the model, the batch, the link.
        _expectMismatch(0, _proof(_first(), _second(), _third(11, 40)));
        _expectMismatch(1, _proof(_first(), _points5(21, 30, 40, 51, 61), _third(10, 40)));
        _expectMismatch(2, _proof(_first(), _points5(20, 30, 41, 51, 61), _third(10, 40)));
        _expectMismatch(3, _proof(_first(), _second(), _third(10, 41)));
        // And the segment that comes first in a link.
        _expectMismatch(0, _proof(_points5(11, 20, 40, 50, 60), _second(), _third(10, 40)));
        _expectMismatch(1, _proof(_points5(10, 21, 40, 50, 60), _second(), _third(10, 40)));
        _expectMismatch(2, _proof(_points5(10, 20, 41, 50, 60), _second(), _third(10, 40)));
    }

    function test_whatSegmentsKeepToThemselvesMayDiffer() external view {
        whole.verify(
            CONTEXT, _proof(_points5(10, 20, 40, 7, 8), _points5(20, 30, 40, 7, 9), _third(10, 40)), none
        );
    }

    function test_rejects_aSegmentOfAnotherStep() external {
        Point[] memory other = _points5(25, 35, 45, 55, 65);
        _expectMismatch(1, _proof(_first(), other, _third(10, 40)));
    }

    function test_rejects_segmentsInAnotherOrder() external {
        // All points equal, so that every link holds: it is the circuits that are in another order.
        Point[] memory same = _points5(5, 5, 5, 5, 5);
        bytes memory first = parts[0].prove(CONTEXT, same);
        bytes memory second = parts[1].prove(CONTEXT, same);
        bytes memory third = parts[2].prove(CONTEXT, _third(5, 5, 5, 5));
        whole.verify(CONTEXT, bytes.concat(first, second, third), none);
        _expectRejection(0, abi.encodeWithSelector(ICircuitVerifier.ProofRejected.selector));
        whole.verify(CONTEXT, bytes.concat(second, first, third), none);
        _expectRejection(1, abi.encodeWithSelector(ICircuitVerifier.ProofRejected.selector));
        whole.verify(CONTEXT, bytes.concat(first, first, third), none);
    }

    function test_rejects_aSegmentOfAnotherContext() external {
        bytes32 other = keccak256("another");
        bytes[3] memory made = _parts(_first(), _second(), _third(10, 40), CONTEXT);
        bytes[3] memory foreign = _parts(_first(), _second(), _third(10, 40), other);
        for (uint256 i = 0; i < 3; ++i) {
            bytes[3] memory mixed = made;
            bytes memory own = made[i];
            mixed[i] = foreign[i];
            bytes memory joined = bytes.concat(mixed[0], mixed[1], mixed[2]);
            mixed[i] = own;
            _expectRejection(i, abi.encodeWithSelector(ICircuitVerifier.ProofRejected.selector));
            whole.verify(CONTEXT, joined, none);
        }
    }

    function test_rejects_anotherLength() external {
        bytes memory proof = _honest();
        uint256 length = proof.length;
        vm.expectRevert(
            abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, length, length + 1)
        );
        whole.verify(CONTEXT, bytes.concat(proof, hex"00"), none);
        vm.expectRevert(abi.encodeWithSelector(ICircuitVerifier.WrongProofLength.selector, length, 0));
        whole.verify(CONTEXT, "", none);
    }

    function test_rejects_pointsOffTheCurve() external {
        Point[] memory bad = _points5(10, 20, 40, 50, 60);
        bad[3] = Point(1, 1);
        bytes memory proof = bytes.concat(
            parts[0].prove(CONTEXT, bad),
            parts[1].prove(CONTEXT, _second()),
            parts[2].prove(CONTEXT, _third(10, 40))
        );
        _expectRejection(0, abi.encodeWithSelector(BN254.NotOnCurve.selector, 1, 1));
        whole.verify(CONTEXT, proof, none);
    }

    function testFuzz_rejects_anyChangedByte(uint256 place, uint8 flip) external {
        bytes memory proof = _honest();
        proof[bound(place, 0, proof.length - 1)] ^= bytes1(flip | 1);
        vm.expectRevert();
        whole.verify(CONTEXT, proof, none);
    }

    function testFuzz_everyLinkMustHold(uint256[5] memory a, uint256[5] memory b, uint256[4] memory c)
        external
    {
        // Few values, so that links often hold.
        for (uint256 i = 0; i < 5; ++i) {
            (a[i], b[i]) = (1 + a[i] % 2, 1 + b[i] % 2);
            if (i < 4) c[i] = 1 + c[i] % 2;
        }
        bool holds = a[0] == c[0] && a[1] == b[0] && a[2] == b[2] && a[2] == c[1];
        bytes memory proof = _proof(
            _points5(a[0], a[1], a[2], a[3], a[4]),
            _points5(b[0], b[1], b[2], b[3], b[4]),
            _third(c[0], c[1], c[2], c[3])
        );
        if (!holds) vm.expectPartialRevert(SegmentedCircuitVerifier.LinkMismatch.selector);
        whole.verify(CONTEXT, proof, none);
    }

    function test_eachSegmentIsGivenItsOwnVerifyingKey() external {
        Point[] memory points = _points5(1, 2, 3, 4, 5);
        bytes memory proof = abi.encodePacked(_words(points), bytes7("seven"));
        uint256[] memory instances = new uint256[](1);
        instances[0] = _challenge(points, 4);
        bytes32[] memory key = new bytes32[](2);
        (key[0], key[1]) = ("one", "two");
        bytes32 digest = keccak256(abi.encodePacked(key));
        FakeGenerated reusable = new FakeGenerated(
            abi.encodeWithSignature("verifyProof(bytes,uint256[],bytes32[])", proof, instances, key)
        );
        reusable.set(abi.encodePacked(uint256(1), digest), false);
        FakeGenerated plain =
            new FakeGenerated(abi.encodeWithSignature("verifyProof(bytes,uint256[])", proof, instances));
        uint256[] memory pinned = new uint256[](0);
        adapters[0] = new PlainCircuitVerifier(address(plain), pinned, 5, 4, proof.length);
        adapters[1] = new ReusableCircuitVerifier(address(reusable), pinned, 5, 4, proof.length, digest);
        adapters[2] = adapters[1];
        (words[1], words[2]) = (2, 2);
        delete links;
        links.push(_link(0, 0, 1, 0));
        links.push(_link(0, 0, 2, 0));
        whole = _deploy();
        vm.assertEq(whole.vkaWords(), 4);
        bytes memory joined = bytes.concat(proof, proof, proof);
        bytes32[] memory keys = new bytes32[](4);
        (keys[0], keys[1], keys[2], keys[3]) = ("one", "two", "one", "two");
        vm.assertEq(whole.verify(CONTEXT, joined, keys).length, 3);
        keys[2] = "another";
        vm.expectPartialRevert(SegmentedCircuitVerifier.SegmentRejected.selector);
        whole.verify(CONTEXT, joined, keys);
        vm.expectRevert(
            abi.encodeWithSelector(SegmentedCircuitVerifier.WrongVerifyingKeyLength.selector, 4, 2)
        );
        whole.verify(CONTEXT, joined, key);
    }

    function test_rejects_deploymentsThatCannotWork() external {
        links.push(_link(1, 0, 1, 1));
        _expectInvalid("link within a segment", 4);
        links[4] = _link(0, 0, 2, 4);
        _expectInvalid("link to nowhere", 4);
        links[4] = _link(0, 0, 3, 0);
        _expectInvalid("link to nowhere", 4);
        links.pop();
        outputs[2] = _place(1, 5);
        _expectInvalid("output from nowhere", 2);
        outputs[2] = _place(1, 1);
        adapters[2] = ICircuitVerifier(address(1234));
        _expectInvalid("no code", 2);
        adapters[2] = new MockCircuitVerifier("third", 4, 0);
        _expectInvalid("no challenge", 2);
        adapters[2] = parts[2];
        words.push(0);
        _expectInvalid("key lengths", 4);
        words.pop();
        words[1] = 1 << 32;
        _expectInvalid("too long", 1);
        words[1] = 0;
        links.pop();
        links[0] = links[1];
        _expectInvalid("not linked", 2);
        delete outputs;
        _expectInvalid("no outputs", 0);
        delete adapters;
        _expectInvalid("too few", 0);
    }

    // -- making proofs ---------------------------------------------------------------------------------------

    function _deploy() private returns (SegmentedCircuitVerifier) {
        return new SegmentedCircuitVerifier(adapters, words, outputs, links);
    }

    function _honest() private view returns (bytes memory) {
        return _proof(_first(), _second(), _third(10, 40));
    }

    function _first() private view returns (Point[] memory) {
        return _points5(10, 20, 40, 50, 60);
    }

    function _second() private view returns (Point[] memory) {
        return _points5(20, 30, 40, 51, 61);
    }

    function _third(uint256 model, uint256 link) private view returns (Point[] memory) {
        return _third(model, link, 52, 62);
    }

    function _third(uint256 a, uint256 b, uint256 c, uint256 d) private view returns (Point[] memory points) {
        points = new Point[](4);
        (points[0], points[1], points[2], points[3]) = (g(a), g(b), g(c), g(d));
    }

    function _points5(uint256 a, uint256 b, uint256 c, uint256 d, uint256 e)
        private
        view
        returns (Point[] memory points)
    {
        points = new Point[](5);
        (points[0], points[1], points[2], points[3], points[4]) = (g(a), g(b), g(c), g(d), g(e));
    }

    function _parts(Point[] memory a, Point[] memory b, Point[] memory c, bytes32 context)
        private
        view
        returns (bytes[3] memory)
    {
        return [parts[0].prove(context, a), parts[1].prove(context, b), parts[2].prove(context, c)];
    }

    function _proof(Point[] memory a, Point[] memory b, Point[] memory c)
        private
        view
        returns (bytes memory)
    {
        bytes[3] memory made = _parts(a, b, c, CONTEXT);
        return bytes.concat(made[0], made[1], made[2]);
    }

    function _words(Point[] memory points) private pure returns (bytes memory packed) {
        for (uint256 i = 0; i < points.length; ++i) {
            packed = abi.encodePacked(packed, points[i].x, points[i].y);
        }
    }

    function _challenge(Point[] memory points, uint256 count) private pure returns (uint256) {
        Point[] memory hashed = new Point[](count);
        for (uint256 i = 0; i < count; ++i) {
            hashed[i] = points[i];
        }
        return uint256(keccak256(abi.encode(CONTEXT, hashed))) % R;
    }

    // -- what is expected ------------------------------------------------------------------------------------

    function _place(uint16 segment, uint16 point)
        private
        pure
        returns (SegmentedCircuitVerifier.Place memory)
    {
        return SegmentedCircuitVerifier.Place(segment, point);
    }

    function _link(uint16 a, uint16 i, uint16 b, uint16 j)
        private
        pure
        returns (SegmentedCircuitVerifier.Link memory)
    {
        return SegmentedCircuitVerifier.Link(_place(a, i), _place(b, j));
    }

    function _expectMismatch(uint256 link, bytes memory proof) private {
        vm.expectRevert(
            abi.encodeWithSelector(
                SegmentedCircuitVerifier.LinkMismatch.selector, link, links[link].first, links[link].second
            )
        );
        whole.verify(CONTEXT, proof, none);
    }

    function _expectRejection(uint256 segment, bytes memory reason) private {
        vm.expectRevert(
            abi.encodeWithSelector(SegmentedCircuitVerifier.SegmentRejected.selector, segment, reason)
        );
    }

    function _expectInvalid(string memory reason, uint256 index) private {
        vm.expectRevert(
            abi.encodeWithSelector(SegmentedCircuitVerifier.InvalidSegments.selector, reason, index)
        );
        _deploy();
    }
}
