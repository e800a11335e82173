"""Registering a model on the hub, from its circuits and its first vector."""

from __future__ import annotations

from collections.abc import Sequence

from fedproof.chain.client import Receipt
from fedproof.chain.deployment import Deployment
from fedproof.chain.hub import HubClient, ModelConfig
from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, Committer
from fedproof.errors import CallerError
from fedproof.rounds.vectors import ModelVector, training_spec


def model_config(
    training: Circuit,
    average: Circuit,
    genesis: ModelVector,
    deployment: Deployment,
    *,
    guardians: Sequence[str],
    guardian_threshold: int,
    min_trainers: int = 1,
    period_s: int = 3600,
    bond_wei: int = 0,
) -> ModelConfig:
    """Return what the hub has to know about a model.

    The commitments are computed here, from the SRS; ``period_s`` is the length of each phase. Raises
    :class:`CallerError` if the circuits do not belong together or are not deployed.
    """
    spec = average.manifest.spec
    if not isinstance(spec, AverageSpec) or spec.of != training.name:
        raise CallerError(f"{average.name!r} is not the average of {training.name!r}")
    for circuit in (training, average):
        if circuit.name not in deployment.verifiers:
            known = ", ".join(sorted(deployment.verifiers)) or "none"
            raise CallerError(f"no verifier of {circuit.name!r} is deployed", hint=f"deployed: {known}")
    committer = training.committer
    vector = genesis.vector
    return ModelConfig(
        genesis=committer.pure(vector),
        ones=ones_of(average, committer, len(vector)),
        tail=committer.tail,
        batch_columns=training.manifest.slot("batch").columns,
        step_verifier=deployment.verifiers[training.name].adapter.address,
        aggregate_verifier=deployment.verifiers[average.name].adapter.address,
        stateful=training.manifest.has("state"),
        samples_per_step=training_spec(training).batch,
        guardians=guardians,
        guardian_threshold=guardian_threshold,
        weight_bits=spec.table,
        min_trainers=min_trainers,
        max_trainers=min(1000, 2**spec.table),
        max_steps=spec.steps,
        commit_period=period_s,
        submit_period=period_s,
        finalize_period=period_s,
        bond=bond_wei,
    )


def ones_of(average: Circuit, committer: Committer, length: int) -> Commitment:
    """P of the ones that the hub rounds with: ``length`` of them, or one a row that the shards check."""
    shards = average.manifest.shards
    return shards.ones(committer) if shards else committer.ones(length)


def register_model(
    hub: HubClient, config: ModelConfig, trainers: Sequence[str]
) -> tuple[bytes, list[tuple[str, Receipt]]]:
    """Register a model and admit its trainers; return its id and the labelled receipts."""
    model_id, receipt = hub.register_model(config)
    receipts = [("register model", receipt)]
    receipts += [("admit trainer", hub.admit(model_id, t)) for t in trainers]
    return model_id, receipts
