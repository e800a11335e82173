// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title The message every relay route carries
/// @notice abi.encode(uint8 version, uint256 sourceChainId, address hub, bytes32 modelId, uint64 round,
/// bytes32 modelHash): six words, the same on every route, so that routes can be compared byte by byte.
library ModelPayload {
    struct Message {
        uint8 version;
        uint256 sourceChainId;
        address hub;
        bytes32 modelId;
        uint64 round;
        bytes32 modelHash;
    }

    uint8 internal constant VERSION = 1;
    uint256 internal constant LENGTH = 6 * 32;

    /// @notice A message is not six words long.
    error WrongPayloadLength(uint256 expected, uint256 actual);
    /// @notice A message is of a version this contract does not know.
    error UnknownPayloadVersion(uint256 expected, uint256 actual);
    /// @notice A message has bits set beyond the width of a field.
    error MalformedPayload();

    /// @notice Encodes a message of the current version.
    function encode(uint256 sourceChainId, address hub, bytes32 modelId, uint64 round, bytes32 modelHash)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encode(VERSION, sourceChainId, hub, modelId, round, modelHash);
    }

    /// @notice Decodes a message, refusing any other length or version and any dirty bits.
    function decode(bytes calldata payload) internal pure returns (Message memory message) {
        if (payload.length != LENGTH) revert WrongPayloadLength(LENGTH, payload.length);
        (
            uint256 version,
            uint256 sourceChainId,
            uint256 hub,
            bytes32 modelId,
            uint256 round,
            bytes32 modelHash
        ) = abi.decode(payload, (uint256, uint256, uint256, bytes32, uint256, bytes32));
        if (version != VERSION) revert UnknownPayloadVersion(VERSION, version);
        if (hub > type(uint160).max || round > type(uint64).max) revert MalformedPayload();
        // forge-lint: disable-next-line(unsafe-typecast)
        message = Message(VERSION, sourceChainId, address(uint160(hub)), modelId, uint64(round), modelHash);
    }
}
