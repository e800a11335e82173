"""A round up to its finalize on the real hub, for the gas of finalize with N trainers.

The aggregation's verifier and proof are real, and so are all commitments. The verifier of training steps is
tests' stand-in (MockCircuitVerifier): finalize never calls it, and N real proofs would take far longer.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from benchmarks.onchain import Chain
from benchmarks.workloads import AveragingWork
from fedproof.chain.digests import batch_leaf, commit_digest
from fedproof.chain.hub import HubClient, ModelConfig, StepProof
from fedproof.chain.places import contracts_root
from fedproof.chain.solidity import compile_sources
from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, neg
from fedproof.rounds.registration import ones_of

MOCK = "test/kit/MockCircuitVerifier.sol"
NAME = b"step".ljust(32, b"\0")
PERIOD_S = 7 * 86_400


@dataclass(frozen=True)
class Submitted:
    """A round that waits for its finalize. ``updates`` are P(u) as the hub holds them, in order."""

    hub: HubClient
    model_id: bytes
    number: int
    updates: list[Commitment]


def submit_round(
    chain: Chain, average: Circuit, work: AveragingWork, committed: Sequence[Commitment] | None = None
) -> Submitted:
    """Register a model and take its first round up to the last submission, one step a trainer.

    ``committed`` are the updates' pure commitments, where they are known.
    """
    committer = average.committer
    trainers: list[LocalAccount] = [Account.create() for _ in work.updates]
    hub, model_id = _register(chain, average, work, len(trainers))
    # One batch a trainer, so its leaf is the root and its path is empty.
    batches = [committer.pure([i + 1]) for i in range(len(trainers))]
    for trainer, batch in zip(trainers, batches, strict=True):
        chain.devnet.fund("l2", trainer.address)
        hub.admit(model_id, trainer.address)
        hub.acting_as(trainer).register_dataset(model_id, batch_leaf(batch))
    number, _ = hub.open_round(model_id)
    model = committer.full(work.model.vector)
    reveals = []
    updates = committed or [committer.pure(u) for u in work.updates]
    for trainer, batch, update in zip(trainers, batches, updates, strict=True):
        shown, step = committer.to_full(batch), committer.to_full(neg(update))
        nonce = secrets.token_bytes(32)
        digest = commit_digest(model_id, number, trainer.address, nonce, [*shown, *step])
        hub.acting_as(trainer).commit(model_id, number, digest)
        reveals.append((trainer, nonce, _sealed([*model, *shown, *step])))
    for trainer, nonce, proof in reveals:
        hub.acting_as(trainer).submit(model_id, number, nonce, [StepProof(proof, [])])
    return Submitted(hub, model_id, number, [s.update for s in hub.submissions(model_id, number)])


def _register(chain: Chain, average: Circuit, work: AveragingWork, count: int) -> tuple[HubClient, bytes]:
    artefact = chain.contracts["FedproofHub"]
    hub = HubClient(chain.client, str(chain.deploy(artefact).address), artefact.abi)
    committer, vector = average.committer, work.model.vector
    columns = committer.columns(len(vector))
    mock = compile_sources({MOCK: (contracts_root() / MOCK).read_text(encoding="utf-8")})[
        "MockCircuitVerifier"
    ]
    spec = average.manifest.spec
    assert isinstance(spec, AverageSpec)
    config = ModelConfig(
        genesis=committer.pure(vector),
        ones=ones_of(average, committer, len(vector)),
        tail=committer.tail,
        batch_columns=1,
        step_verifier=str(chain.deploy(mock, NAME, 2 * columns + 1, 0).address),
        aggregate_verifier=str(chain.adapter(average).contract.address),
        samples_per_step=1,
        guardians=[Account.create().address],
        guardian_threshold=1,
        weight_bits=spec.table,
        max_trainers=count,
        max_steps=1,
        commit_period=PERIOD_S,
        submit_period=PERIOD_S,
        finalize_period=PERIOD_S,
    )
    return hub, hub.register_model(config)[0]


def _sealed(points: list[tuple[int, int]]) -> bytes:
    body = b"".join(encode(["uint256", "uint256"], list(point)) for point in points)
    return body + keccak(encode(["bytes32", "uint256", "bytes"], [NAME, 0, body]))
