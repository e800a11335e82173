// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @title The record of finalized model hashes on Ethereum
/// @notice Takes the same payload from several independent routes and counts how many agree.
interface IModelRegistry {
    /// @notice None: unknown, or too few routes agree. Provisional: `fastQuorum` routes agree. Final: a native route
    /// confirmed it. Frozen: two messages disagreed; do not rely on the hash.
    enum Status {
        None,
        Provisional,
        Final,
        Frozen
    }

    struct Record {
        bytes32 modelHash;
        uint32 agreeing;
        Status status;
        uint64 recordedAt;
    }

    struct Route {
        address adapter;
        bool native;
    }

    error NotARoute(address caller);
    error WrongSourceChain(uint256 expected, uint256 actual);
    error WrongHub(address expected, address actual);
    error EmptyModelHash(bytes32 modelId, uint64 round);
    error AdapterAlreadyRouted(address adapter, bytes32 routeId);
    error InvalidRoute(bytes32 routeId, address adapter);
    error InvalidQuorum(uint256 quorum);

    event RouteSet(bytes32 indexed routeId, address adapter, bool native);
    event RouteRemoved(bytes32 indexed routeId);
    event HashReported(
        bytes32 indexed modelId,
        uint64 indexed round,
        bytes32 indexed routeId,
        bytes32 modelHash,
        uint32 agreeing
    );
    event StatusChanged(bytes32 indexed modelId, uint64 indexed round, Status status);
    event LatestAdvanced(bytes32 indexed modelId, uint64 indexed round, bytes32 modelHash);
    /// @notice The route had already said exactly this.
    event DuplicateReported(bytes32 indexed modelId, uint64 indexed round, bytes32 indexed routeId);
    /// @notice The message is about a round older than the latest one; it is counted, `latest` does not go back.
    event LateReported(
        bytes32 indexed modelId, uint64 indexed round, bytes32 indexed routeId, uint64 latestRound
    );
    /// @notice A second, different hash for a round. The first stays recorded and the record is frozen.
    event ConflictReported(
        bytes32 indexed modelId,
        uint64 indexed round,
        bytes32 indexed routeId,
        bytes32 recorded,
        bytes32 reported
    );

    /// @notice Takes one payload (see ModelPayload) from a route's adapter; anyone else is refused.
    /// @dev Late, duplicate and conflicting messages are events, not reverts: a revert would only leave the message
    /// waiting in its bridge for ever.
    function record(bytes calldata payload) external;

    /// @notice The newest round of a model that reached Provisional or Final, and its record. Round 0: none yet.
    /// Warning: the record may have been frozen since; read its status.
    function latest(bytes32 modelId) external view returns (uint64 round, Record memory);

    /// @notice The record of one round.
    function recordOf(bytes32 modelId, uint64 round) external view returns (Record memory);

    /// @notice What a route said about a round; zero if nothing.
    function reportOf(bytes32 modelId, uint64 round, bytes32 routeId)
        external
        view
        returns (bytes32 modelHash);

    /// @notice The chain whose hub this registry records.
    function sourceChainId() external view returns (uint256);

    /// @notice The hub this registry records.
    function hub() external view returns (address);

    /// @notice How many agreeing routes make a record Provisional.
    function fastQuorum() external view returns (uint32);
}
