"""A model's owner registers something else than it says: a trainer finds out before it joins."""

from __future__ import annotations

from dataclasses import replace

import pytest
from real_world import Game, refused

from fedproof.chain.circuit_verifiers import verifier_spec
from fedproof.chain.solidity import compile_project
from fedproof.commitments import neg
from fedproof.rounds.audit import RegistrationMismatch, check_registration

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("undone")]


def audit(game: Game, model_id: bytes) -> None:
    check_registration(game.hub, model_id, game.evidence.step, game.evidence.average)


def test_an_honest_registration_passes_the_audit(registered: Game) -> None:
    config = replace(registered.hub.model(registered.model_id).config, max_steps=2)
    model_id, _ = registered.hub.register_model(config)
    audit(registered, model_id)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("ones", "commitment of ones"),
        ("tail", "tail is"),
        ("samples_per_step", "samples of a step"),
        ("weight_bits", "bits of the weights"),
        ("max_steps", "steps are allowed"),
    ],
)
def test_a_registration_with_another_constant(registered: Game, field: str, told: str) -> None:
    config = replace(registered.hub.model(registered.model_id).config, max_steps=2)
    forged = {
        "ones": neg(tuple(config.ones)),
        "tail": neg((config.tail,))[0],
        "samples_per_step": config.samples_per_step * 2,
        "weight_bits": config.weight_bits - 1,
        "max_steps": config.max_steps + 1,
    }[field]
    model_id, _ = registered.hub.register_model(replace(config, **{field: forged}))
    with pytest.raises(RegistrationMismatch, match=told):
        audit(registered, model_id)


@pytest.mark.parametrize(
    ("instance", "challenged", "told"),
    [(1, 0, "instances of the adapter"), (0, 1, "points of the challenge of the adapter")],
)
def test_a_registration_with_another_verifier(
    registered: Game, instance: int, challenged: int, told: str
) -> None:
    """An adapter of the average's verifier with another instance or challenge: right from outside."""
    config = replace(registered.hub.model(registered.model_id).config, max_steps=2)
    spec = verifier_spec(registered.evidence.average)
    client = registered.hub.client
    honest = registered.world.deployment.verifier(registered.evidence.average.name)
    adapter = client.deploy(
        compile_project()["PlainCircuitVerifier"],
        honest.generated.address,
        [spec.instances[0] + instance],
        spec.commitment_count,
        spec.challenge_points + challenged,
        spec.proof_bytes,
    )
    model_id, _ = registered.hub.register_model(replace(config, aggregate_verifier=str(adapter.contract)))
    with pytest.raises(RegistrationMismatch, match=told):
        audit(registered, model_id)


def test_a_registration_with_the_verifiers_exchanged(registered: Game) -> None:
    """The hub itself refuses a step verifier whose proofs hold too few commitments."""
    config = registered.hub.model(registered.model_id).config
    with refused("InvalidModelConfig"):
        registered.hub.register_model(replace(config, step_verifier=config.aggregate_verifier))
