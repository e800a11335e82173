// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @dev Answers what it is told to, if it is called with exactly the expected bytes.
contract FakeGenerated {
    bytes private _answer;
    bool private _reverts;
    bytes32 private immutable EXPECTED;

    constructor(bytes memory expectedCall) {
        EXPECTED = keccak256(expectedCall);
        _answer = abi.encode(true);
    }

    function set(bytes calldata answer, bool reverts) external {
        (_answer, _reverts) = (answer, reverts);
    }

    fallback(bytes calldata data) external returns (bytes memory) {
        require(keccak256(data) == EXPECTED, "not the expected call");
        bytes memory answer = _answer;
        if (_reverts) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}
