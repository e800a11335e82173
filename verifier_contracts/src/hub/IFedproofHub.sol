// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Point} from "../points/Point.sol";
import {ICircuitVerifier} from "../verifiers/ICircuitVerifier.sol";

/// @title The aggregation hub: federated learning rounds checked on chain
/// @notice Notation: a vector v is committed as C(v) in a proof; its pure commitment is P(v) = C(v) - T, column by
/// column, where T is the tail constant of the model family's SRS and circuit size. P is linear. Every `Point[]` has
/// one point for each column.
///
/// A round: openRound, commit, submit, finalize. Phases end at their deadline, or early once everyone who may act
/// has acted.
///
/// Warning: the rows of a committed column beyond the vector's length are unconstrained by the circuits. Hence
/// - a trainer can submit a commitment that its vector does not open, or keep its vector to itself: guardians can
///   leave such a submission out (`leaveOut`), nobody else can;
/// - an aggregator can finalize a Δ whose commitment carries something in those rows, or keep Δ to itself. The
///   aggregate is still exact on the vector's rows, but nobody can open P(M'), so no next round can be proven:
///   guardians can undo that round (`rollBack`).
interface IFedproofHub {
    /// @notice Commit, Submit and Finalize are the stages of a round in progress; Expired: its last deadline passed
    /// and it waits for `cancel`. Finalized, Cancelled and RolledBack are final.
    enum Phase {
        None,
        Commit,
        Submit,
        Finalize,
        Expired,
        Finalized,
        Cancelled,
        RolledBack
    }

    /// @notice Everything fixed at registration.
    /// @param genesis P(M₀), the pure commitment to the first model.
    /// @param ones P(1), the pure commitment to the all-ones vector of the model's length.
    /// @param tail T, the commitment to the zero vector; the same for every column.
    /// @param vectorColumns Columns of the model, a step, a remainder and a delta.
    /// @param batchColumns Columns of a batch.
    /// @param stepVerifier Checks training steps; commits to model, batch, step, and with `stateful` to the
    /// optimiser's state before and after the step (what comes after is ignored).
    /// @param aggregateVerifier Checks aggregation; commits to remainder, delta (what comes after is ignored).
    /// @param stateful Whether the optimiser has a state: a vector like the model, which is zero, its salt too, at a
    /// submission's first step, and at every later one what the step before it left.
    /// @param samplesPerStep Samples in one batch.
    /// @param weightBits t: the weights of a round sum to 2^t; 1 to 64.
    /// @param minTrainers Included submissions without which a round cannot be finalized.
    /// @param maxTrainers Commits a round takes.
    /// @param maxSteps Steps a trainer may chain in a round.
    /// @param commitPeriod Seconds; so are submitPeriod and finalizePeriod.
    /// @param guardians Accounts whose signatures leave a submission out or roll a round back.
    /// @param guardianThreshold How many of them it takes.
    /// @param bond Wei a trainer deposits with its commit.
    struct ModelConfig {
        Point[] genesis;
        Point[] ones;
        Point tail;
        uint32 vectorColumns;
        uint32 batchColumns;
        ICircuitVerifier stepVerifier;
        ICircuitVerifier aggregateVerifier;
        bool stateful;
        uint32 samplesPerStep;
        uint8 weightBits;
        uint32 minTrainers;
        uint32 maxTrainers;
        uint32 maxSteps;
        uint32 commitPeriod;
        uint32 submitPeriod;
        uint32 finalizePeriod;
        address[] guardians;
        uint32 guardianThreshold;
        uint96 bond;
    }

    /// @notice One training step: its proof, and the Merkle path of its batch in the trainer's dataset.
    struct StepProof {
        bytes proof;
        bytes32[] batchPath;
    }

    /// @notice A model as a client sees it.
    /// @param current P(M) of the newest model.
    /// @param currentRound The round that produced it; 0 is the genesis.
    /// @param latestRound The newest round opened; 0 if none.
    struct ModelView {
        address owner;
        uint32 trainerCount;
        uint64 latestRound;
        uint64 currentRound;
        Point[] current;
        ModelConfig config;
    }

    /// @notice A round as a client sees it. The end times are Unix seconds, and are brought forward when a phase
    /// closes early.
    /// @param parent The round whose model this one trains from; 0 is the genesis.
    /// @param totalSteps Steps over the included submissions.
    /// @param base P(M), the model the round trains from.
    /// @param result P(M'); empty until finalized.
    struct RoundView {
        Phase phase;
        uint64 parent;
        uint64 commitEndsAt;
        uint64 submitEndsAt;
        uint64 finalizeEndsAt;
        uint32 committed;
        uint32 submitted;
        uint32 leftOut;
        uint64 totalSteps;
        address finalizer;
        bytes32 modelHash;
        Point[] base;
        Point[] result;
    }

    /// @notice What the hub knows about a trainer of a model.
    /// @param datasetFrom The first round the dataset may be used in; 0 if none is registered.
    struct TrainerView {
        bool admitted;
        bytes32 datasetRoot;
        uint64 datasetFrom;
    }

    /// @notice An accepted submission.
    /// @param update P(u), the pure commitment to the trainer's update.
    struct SubmissionView {
        address trainer;
        uint32 steps;
        bool leftOut;
        uint256 samples;
        Point[] update;
    }

    // Models and trainers

    event ModelRegistered(bytes32 indexed modelId, address indexed owner);
    event TrainerAdmitted(bytes32 indexed modelId, address indexed trainer);
    event TrainerRemoved(bytes32 indexed modelId, address indexed trainer);
    event DatasetRegistered(bytes32 indexed modelId, address indexed trainer, bytes32 root, uint64 fromRound);

    /// @notice A field of a ModelConfig (its name, padded with zeros) has a value that cannot work.
    error InvalidModelConfig(bytes32 field, uint256 value);
    error UnknownModel(bytes32 modelId);
    error NotModelOwner(bytes32 modelId, address caller);
    error NotAdmitted(bytes32 modelId, address caller);
    error AlreadyAdmitted(bytes32 modelId, address trainer);
    /// @notice Trainers are neither admitted nor removed while a round takes commits.
    error CommitPhaseInProgress(bytes32 modelId, uint64 round);
    error EmptyDatasetRoot();
    /// @notice A trainer cannot change its dataset during a round it takes part in.
    error DatasetInUse(bytes32 modelId, uint64 round, address trainer);

    /// @notice Registers a model; the caller becomes its owner.
    /// @return modelId Its identifier, unique over chains and hubs.
    function registerModel(ModelConfig calldata config) external returns (bytes32 modelId);

    /// @notice Lets `trainer` take part in the model's rounds. Owner only.
    function admitTrainer(bytes32 modelId, address trainer) external;

    /// @notice Takes `trainer` out of later rounds; a round it has committed to is not affected. Owner only.
    function removeTrainer(bytes32 modelId, address trainer) external;

    /// @notice Registers the Merkle root over the caller's batches, for rounds opened from now on. A leaf is
    /// keccak256(bytes.concat(keccak256(abi.encode(Point[] P(batch))))), pairs are sorted.
    function registerDataset(bytes32 modelId, bytes32 root) external;

    // Rounds

    event RoundOpened(bytes32 indexed modelId, uint64 indexed round, uint64 parent, uint64 commitEndsAt);
    event Committed(bytes32 indexed modelId, uint64 indexed round, address indexed trainer, bytes32 digest);
    event Submitted(
        bytes32 indexed modelId, uint64 indexed round, address indexed trainer, uint32 steps, Point[] update
    );
    event PhaseClosed(bytes32 indexed modelId, uint64 indexed round, Phase phase);
    event RoundFinalized(
        bytes32 indexed modelId,
        uint64 indexed round,
        address indexed finalizer,
        bytes32 modelHash,
        Point[] delta,
        Point[] result
    );
    event RoundCancelled(bytes32 indexed modelId, uint64 indexed round);

    error UnknownRound(bytes32 modelId, uint64 round);
    error RoundInProgress(bytes32 modelId, uint64 round);
    error TooFewTrainers(bytes32 modelId, uint256 minimum, uint256 actual);
    error WrongPhase(bytes32 modelId, uint64 round, Phase expected, Phase actual);
    error WrongBond(uint256 expected, uint256 actual);
    error EmptyDigest();
    error AlreadyCommitted(bytes32 modelId, uint64 round, address trainer);
    error NoDataset(bytes32 modelId, address trainer);
    /// @notice The dataset was registered after the round had been opened.
    error DatasetTooNew(address trainer, uint64 fromRound, uint64 round);
    error NotCommitted(bytes32 modelId, uint64 round, address trainer);
    error AlreadySubmitted(bytes32 modelId, uint64 round, address trainer);
    error WrongStepCount(uint256 maximum, uint256 actual);
    /// @notice What is revealed is not what this trainer committed to.
    error CommitDigestMismatch(bytes32 expected, bytes32 actual);
    /// @notice A step does not start where the one before it ended (step 0: at the global model).
    error ModelCommitmentMismatch(uint256 step, uint256 column, Point expected, Point actual);
    /// @notice A step does not start from the optimiser's state that the one before it left (step 0: from zero).
    error StateCommitmentMismatch(uint256 step, uint256 column, Point expected, Point actual);
    error BatchNotInDataset(uint256 step, bytes32 leaf, bytes32 root);
    /// @notice The batch was already used in this round.
    error BatchAlreadyUsed(uint256 step, bytes32 batch);
    /// @notice The step commitment was already used for this model.
    error StepAlreadyUsed(uint256 step, bytes32 commitment);
    error TooFewSubmissions(bytes32 modelId, uint64 round, uint256 minimum, uint256 actual);
    /// @notice The remainder in the aggregation proof is not the one that follows from the stored updates.
    error RemainderMismatch(uint256 column, Point expected, Point actual);
    /// @notice No deadline that makes the round impossible has passed.
    error RoundStillPossible(bytes32 modelId, uint64 round);

    /// @notice Opens the next round. By the owner or an admitted trainer.
    function openRound(bytes32 modelId) external returns (uint64 round);

    /// @notice Commits the caller to its steps before anyone sees them; the bond goes with it.
    /// @param digest keccak256(abi.encode(bytes32 modelId, uint64 round, address trainer, bytes32 nonce,
    /// Point[] points)), where points lists for each step its batch commitment and its step commitment (C, as in the
    /// proof).
    function commit(bytes32 modelId, uint64 round, bytes32 digest) external payable;

    /// @notice Reveals and proves the caller's steps, in order. The bond is released.
    /// @param vka The verifying key words, for a reusable verifier; else empty.
    /// @dev The context of every proof, for a verifier with a challenge, is
    /// keccak256(abi.encode(bytes32 modelId, uint64 round, address trainer)).
    /// A step commitment is used up once accepted, even if the round is later cancelled or rolled back: a
    /// trainer that repeats the step draws new salts.
    function submit(
        bytes32 modelId,
        uint64 round,
        bytes32 nonce,
        StepProof[] calldata steps,
        bytes32[] calldata vka
    ) external;

    /// @notice Moves the model by the weighted average of all included updates. By anyone.
    /// @param proof An aggregation proof, committing to the remainder ρ and the delta Δ with
    /// P(ρ) = Σ Wᵢ·P(uᵢ) + 2^(t-1)·P(1) - 2^t·P(Δ).
    /// @dev The context of the proof is as in `submit`, with address(0) in place of a trainer.
    function finalize(bytes32 modelId, uint64 round, bytes calldata proof, bytes32[] calldata vka) external;

    /// @notice Ends a round that cannot be finalized any more: too few commits or submissions after the deadline, or
    /// not finalized in time. By anyone.
    function cancel(bytes32 modelId, uint64 round) external;

    // Guardians

    event LeftOut(bytes32 indexed modelId, uint64 indexed round, address indexed trainer, string reason);
    event RoundRolledBack(bytes32 indexed modelId, uint64 indexed round, uint64 currentRound);

    error TooFewSignatures(uint256 required, uint256 actual);
    error NotAGuardian(address signer);
    /// @notice Signatures come in strictly ascending order of their signers, so none counts twice.
    error SignersNotAscending(address previous, address current);
    error NotSubmitted(bytes32 modelId, uint64 round, address trainer);
    error AlreadyLeftOut(bytes32 modelId, uint64 round, address trainer);
    /// @notice Only the newest finalized round can be rolled back, and only one.
    error NotRollable(bytes32 modelId, uint64 round);

    /// @notice Leaves a submission out of its round, because its vector is withheld or does not open its commitment.
    /// @param signatures EIP-712 signatures of guardians over
    /// LeaveOut(bytes32 modelId,uint64 round,address trainer,string reason), 65 bytes each.
    function leaveOut(
        bytes32 modelId,
        uint64 round,
        address trainer,
        string calldata reason,
        bytes[] calldata signatures
    ) external;

    /// @notice Puts the model back to what it was before its newest finalized round, cancelling a round in progress.
    /// See the warning above for why this exists.
    /// @param signatures EIP-712 signatures of guardians over RollBack(bytes32 modelId,uint64 round).
    /// @dev A hash already relayed stays on the other chain until the next finalized round supersedes it.
    function rollBack(bytes32 modelId, uint64 round, bytes[] calldata signatures) external;

    // Bonds

    event BondReleased(
        bytes32 indexed modelId, uint64 indexed round, address indexed trainer, uint256 amount
    );
    event BondsForfeited(
        bytes32 indexed modelId, uint64 indexed round, address indexed finalizer, uint256 amount
    );
    event Withdrawn(address indexed account, uint256 amount);

    error NothingToWithdraw(address account);
    error NoBondToReclaim(bytes32 modelId, uint64 round, address trainer);

    /// @notice Releases the bond of a trainer that committed to a cancelled round and had not submitted. By anyone.
    function reclaimBond(bytes32 modelId, uint64 round, address trainer) external;

    /// @notice Pays the caller everything it is owed.
    function withdraw() external returns (uint256 amount);

    /// @notice What `withdraw` would pay `account`, in wei.
    function owedTo(address account) external view returns (uint256);

    // Views

    /// @notice A model, its configuration and P(M) as it stands. Reverts if it is unknown.
    function modelOf(bytes32 modelId) external view returns (ModelView memory);
    /// @notice A round, open or past. Reverts if it was never opened.
    function roundOf(bytes32 modelId, uint64 round) external view returns (RoundView memory);
    /// @notice Where a round stands now; None if it was never opened.
    function phaseOf(bytes32 modelId, uint64 round) external view returns (Phase);
    /// @notice The number of the newest round opened, whatever became of it; 0 if none.
    function latestRoundOf(bytes32 modelId) external view returns (uint64);
    /// @notice What the hub knows about an account as a trainer of a model.
    function trainerOf(bytes32 modelId, address account) external view returns (TrainerView memory);

    /// @notice The digest a trainer committed to in a round; zero if none.
    function commitOf(bytes32 modelId, uint64 round, address account) external view returns (bytes32);

    /// @notice The submissions of a round in order of arrival, left-out ones included.
    function submissionsOf(bytes32 modelId, uint64 round) external view returns (SubmissionView[] memory);

    /// @notice The weights of the submissions of a round, in the order of `submissionsOf`; they sum to 2^weightBits.
    /// Wᵢ = ⌊2^t·cumᵢ/total⌋ - ⌊2^t·cumᵢ₋₁/total⌋ over the samples of the included submissions; zero for one left out.
    function weightsOf(bytes32 modelId, uint64 round) external view returns (uint256[] memory);

    /// @notice P(S) = Σ Wᵢ·P(uᵢ) over the included submissions.
    function weightedSumOf(bytes32 modelId, uint64 round) external view returns (Point[] memory);

    /// @notice keccak256(abi.encode(bytes32 modelId, uint64 round, Point[] P(M'))) of a finalized round; reverts for
    /// any other, also for one rolled back.
    function modelHashOf(bytes32 modelId, uint64 round) external view returns (bytes32);

    /// @notice Whether a pure step commitment, keccak256(abi.encode(Point[] P(δ))), has been used for the model.
    function isStepUsed(bytes32 modelId, bytes32 commitment) external view returns (bool);

    /// @notice The EIP-712 digest guardians sign to leave a submission out.
    function leaveOutDigest(bytes32 modelId, uint64 round, address account, string calldata reason)
        external
        view
        returns (bytes32);

    /// @notice The EIP-712 digest guardians sign to roll a round back.
    function rollBackDigest(bytes32 modelId, uint64 round) external view returns (bytes32);
}
