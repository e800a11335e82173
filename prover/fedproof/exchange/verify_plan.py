"""Checks of what a round starts from: the plan, who signed it, and the first model."""

from __future__ import annotations

from fedproof.chain.digests import model_hash
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment
from fedproof.errors import CallerError
from fedproof.exchange.documents import CircuitRef, RoundPlan
from fedproof.exchange.faults import checking, demand
from fedproof.exchange.fields import to_bytes, to_hex
from fedproof.exchange.folder import BASE, PLAN, RoundFolder
from fedproof.exchange.opening import check_registration
from fedproof.exchange.signing import check_signature, plan_message
from fedproof.files import sha256_file
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.vectors import ModelVector


def check_plan(
    folder: RoundFolder, training: Circuit, average: Circuit | None, *, model_id: bytes | None = None
) -> ModelVector:
    """Check what a round starts from; return its first model, recommitted to.

    The id is the hash of what the plan says about the model, the owner has signed, the circuits are these,
    every trainer has signed its dataset's root, and the first model is the one that is named. Raises
    :class:`RoundFault` with the file, :class:`CallerError` if there is no round.
    """
    file = folder.path / PLAN
    if not file.is_file():
        raise CallerError(f"{folder.path} holds no round: no {PLAN}")
    with checking("plan", file):
        plan = folder.plan
        demand(
            plan.model.id == plan.id_bytes,
            f"the model's id is {plan.model_id}, but what it says of it has 0x{plan.model.id.hex()}",
        )
        if model_id is not None:
            demand(model_id == plan.id_bytes, f"a round of model {plan.model_id}, not of 0x{model_id.hex()}")
        message = plan_message(plan.id_bytes, plan.number, plan.digest)
        check_signature(message, plan.signature, plan.model.owner, what="the plan")
    with checking("circuits", file):
        _check_circuit("training", plan.model.training, training)
        demand_bound(training)
        if average is not None:
            _check_circuit("average", plan.model.average, average)
    with checking("registration", file):
        for registration in plan.trainers:
            check_registration(registration, plan.id_bytes)
    with checking("base model", folder.path / BASE):
        return _base(folder, plan, training)


def _base(folder: RoundFolder, plan: RoundPlan, training: Circuit) -> ModelVector:
    published = folder.base
    found = sha256_file(folder.path / BASE)
    demand(found == plan.base.content, f"SHA-256 {found}, the plan names {plan.base.content}")
    points = check_published(published, training, plan.id_bytes, plan.base.round)
    computed = to_hex(model_hash(plan.id_bytes, plan.base.round, points))
    demand(
        computed == plan.base.model_hash,
        f"its weights have the hash {computed}, the plan names {plan.base.model_hash}",
    )
    if plan.base.round == 0:
        demand(points == plan.model.genesis_points, "not the first model that the model's id stands for")
    return published.model


def check_published(
    published: PublishedModel, training: Circuit, model_id: bytes, round_number: int
) -> Commitment:
    """Check that a file is the model of that round for this circuit; return its pure commitment.

    Raises :class:`InvalidProof` naming the field that is another.
    """
    numbers, length = training.numbers, training.manifest.slot("model").length
    expected = PublishedModel.of(
        training, ModelVector.zeros(training), model_id, round_number
    ).model_dump(exclude={"vector", "registry", "l1_chain_id"})  # fmt: skip
    for name, wanted in expected.items():
        found = getattr(published, name)
        demand(found == wanted, f"{name} is {found}, expected {wanted}")
    demand(len(published.vector) == length, f"{len(published.vector)} elements, the model has {length}")
    # Beyond these a step's arithmetic could wrap around in the field: what is proven would not be a step.
    half = 1 << (numbers.model - 1)
    for i, value in enumerate(published.vector[: published.parameters]):
        demand(
            -half <= value < half, f"parameter {i} is {value}, the circuit holds those in [-{half}, {half})"
        )
    return training.committer.pure(list(published.vector))


def _check_circuit(kind: str, stated: CircuitRef, ours: Circuit) -> None:
    found = CircuitRef.of(ours)
    for name in CircuitRef.model_fields:
        theirs, own = getattr(stated, name), getattr(found, name)
        demand(
            theirs == own,
            f"the {kind} circuit {stated.name!r} has {name} {theirs}, compiled here it has {own}",
        )


def demand_bound(training: Circuit) -> None:
    """Raise :class:`InvalidProof` unless proofs of this circuit are bound to what they are made for.

    Without a challenge a proof names no trainer and no round, and files do not tell who was first.
    """
    bound = all(part.manifest.challenge_points for part in training.parts)
    demand(bound, f"proofs of {training.name!r} have no challenge: anybody could hand them in as their own")


def root_of(plan: RoundPlan, trainer: str) -> bytes:
    """The dataset root of a trainer of the plan."""
    registration = plan.registration(trainer)
    if registration is None:
        raise CallerError(f"{trainer} is not in the plan")
    return to_bytes(registration.dataset_root)
