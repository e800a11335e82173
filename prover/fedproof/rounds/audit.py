"""What a trainer checks before it joins: that the hub's model is the one of its own circuits."""

from __future__ import annotations

from typing import Any

from fedproof.chain.circuit_verifiers import verifier_spec
from fedproof.chain.client import ChainClient
from fedproof.chain.hub import HubClient
from fedproof.chain.solidity import compile_project, compile_verifier
from fedproof.chain.verifier_specs import SegmentedSpec, ShardedSpec, VerifierSpec
from fedproof.chain.vka import vka_digest
from fedproof.circuits import AverageSpec
from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError, InvalidProof
from fedproof.rounds.registration import ones_of
from fedproof.rounds.vectors import training_spec


class RegistrationMismatch(InvalidProof):
    """A registered model does not check what these circuits prove."""


def _getter(name: str, kind: str) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "stateMutability": "view",
        "inputs": [],
        "outputs": [{"name": "", "type": kind}],
    }


_ADAPTER_ABI = [
    _getter("generated", "address"),
    _getter("commitmentCount", "uint256"),
    _getter("challengePoints", "uint256"),
    _getter("proofLength", "uint256"),
    _getter("instances", "uint256[]"),
    _getter("vkaDigest", "bytes32"),
]


def check_registration(hub: HubClient, model_id: bytes, training: Circuit, average: Circuit) -> None:
    """Compare a registered model with circuits compiled here, from the same declarations and SRS.

    Commitments are recomputed, verifiers are generated and compiled again and compared with the code on the
    chain. Raises :class:`RegistrationMismatch` naming every difference. The genesis model is checked by
    whoever holds its vector, with ``Committer.check_opening``.
    """
    config = hub.model(model_id).config
    spec, numbers = average.manifest.spec, training_spec(training)
    if not isinstance(spec, AverageSpec):
        raise CallerError(f"{average.name!r} is not a circuit of kind 'average'")
    committer, length = training.committer, training.manifest.slot("model").length
    facts: dict[str, tuple[object, object]] = {
        "commitment of ones": (tuple(config.ones), ones_of(average, committer, length)),
        "tail": (tuple(config.tail), tuple(committer.tail)),
        "columns of a batch": (config.batch_columns, training.manifest.slot("batch").columns),
        "samples of a step": (config.samples_per_step, numbers.batch),
        "bits of the weights": (config.weight_bits, spec.table),
        "an optimiser's state": (config.stateful, training.manifest.has("state")),
    }
    wrong = [f"{name} is {has}, not {ours}" for name, (has, ours) in facts.items() if has != ours]
    if config.max_steps > spec.steps:
        wrong.append(f"{config.max_steps} steps are allowed, an average holds {spec.steps}")
    wrong += adapter_differences(hub.client, config.step_verifier, training)
    wrong += adapter_differences(hub.client, config.aggregate_verifier, average)
    if wrong:
        raise RegistrationMismatch(
            f"model 0x{model_id.hex()} is not one of these circuits: " + "; ".join(wrong)
        )


def adapter_differences(client: ChainClient, address: str, circuit: Circuit) -> list[str]:
    """In what the verifier at ``address`` differs from that of ``circuit``, segments and shards included."""
    spec = verifier_spec(circuit)
    if isinstance(spec, SegmentedSpec):
        return _segmented_differences(client, address, spec)
    if isinstance(spec, ShardedSpec):
        return _sharded_differences(client, address, spec)
    return _own_differences(client, address, spec)


def _segmented_differences(client: ChainClient, address: str, spec: SegmentedSpec) -> list[str]:
    artefact = compile_project()["SegmentedCircuitVerifier"]
    adapter = client.at(address, artefact.abi)
    segments = client.call(adapter.functions.segments())
    if len(segments) != len(spec.segments):
        return [f"the verifier of {spec.circuit} has {len(segments)} segments, not {len(spec.segments)}"]
    facts: dict[str, tuple[object, object]] = {
        "commitments told": (_nested(client.call(adapter.functions.outputs())), spec.outputs),
        "links": (_nested(client.call(adapter.functions.links())), spec.links),
        "lengths": (
            [(length, words) for _, length, words in segments],
            [(s.proof_bytes, len(s.vka)) for s in spec.segments],
        ),
    }
    found = [
        f"{name} of the verifier of {spec.circuit}: {has}, not {ours}"
        for name, (has, ours) in facts.items()
        if has != ours
    ]
    for (own, _, _), ours in zip(segments, spec.segments, strict=True):
        found += _own_differences(client, str(own), ours)
    return found


def _sharded_differences(client: ChainClient, address: str, spec: ShardedSpec) -> list[str]:
    adapter = client.at(address, compile_project()["ShardedCircuitVerifier"].abi)
    facts: dict[str, tuple[object, object]] = {
        "shape": (_nested(client.call(adapter.functions.shape())), spec.shape),
        "offset": (_nested(client.call(adapter.functions.offset())), spec.shards.offset),
    }
    found = [
        f"{name} of the verifier of {spec.circuit}: {has}, not {ours}"
        for name, (has, ours) in facts.items()
        if has != ours
    ]
    return found + _own_differences(client, str(client.call(adapter.functions.circuit())), spec.shard)


def _nested(values: object) -> object:
    """Sequences as tuples, all the way down: web3 returns lists."""
    return tuple(_nested(v) for v in values) if isinstance(values, (list, tuple)) else values


def _own_differences(client: ChainClient, address: str, spec: VerifierSpec) -> list[str]:
    adapter = client.at(address, _ADAPTER_ABI)
    found = []
    code = client.code(str(client.call(adapter.functions.generated())))
    if code != compile_verifier(spec.source).runtime:
        found.append(f"the verifier of {spec.circuit} has other code")
    facts = {
        "commitments": (client.call(adapter.functions.commitmentCount()), spec.commitment_count),
        "points of the challenge": (
            client.call(adapter.functions.challengePoints()),
            spec.challenge_points,
        ),
        "proof length": (client.call(adapter.functions.proofLength()), spec.proof_bytes),
        "instances": (tuple(client.call(adapter.functions.instances())), tuple(spec.instances)),
    }
    if spec.vka:
        digest = bytes(client.call(adapter.functions.vkaDigest()))
        facts["key digest"] = (digest, vka_digest(tuple(spec.vka)))
    found += [
        f"{name} of the adapter of {spec.circuit}: {has}, not {ours}"
        for name, (has, ours) in facts.items()
        if has != ours
    ]
    return found
