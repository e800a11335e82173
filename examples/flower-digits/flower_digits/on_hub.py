"""The variant that writes to a hub: a deployment on a devnet, and a model registered there for the run."""

from __future__ import annotations

from functools import cache

from flwr.app import Context
from flwr.serverapp.strategy import FedAvg

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifying_key
from fedproof.chain.deploy import learn_errors, open_chains
from fedproof.chain.deployment import Deployment, load_deployment
from fedproof.chain.hub import HubClient
from fedproof.flower import HubAccess, HubStrategy
from fedproof.rounds import ModelVector
from fedproof.rounds.registration import model_config, register_model
from flower_digits import task

GUARDIANS = [devnet_account(20 + i) for i in range(3)]


@cache
def reach(name: str) -> tuple[Deployment, HubClient]:
    """A deployment, and its hub, acting as the network's account."""
    deployment = load_deployment(name)
    chains = open_chains(deployment.the_network())
    deployment.check(chains.l2, chains.l1)
    learn_errors(deployment, chains)
    return deployment, HubClient(chains.l2, deployment.hub, deployment.abis["FedproofHub"])


def access(context: Context) -> HubAccess:
    """The way of a client to the hub."""
    deployment, hub = reach(str(context.run_config["deployment"]))
    training = task.circuit(str(context.run_config["circuit"]))
    return HubAccess(hub, verifying_key(training, deployment.verifier(training.name)))


def strategy(inner: FedAvg, context: Context, first: ModelVector) -> HubStrategy:
    """Register the model with its trainers; return the strategy that plays its rounds."""
    config = context.run_config
    deployment, hub = reach(str(config["deployment"]))
    name = str(config["circuit"])
    circuits = task.circuit(name), task.circuit(f"{name}-average")
    trainers = [str(task.trainer_key(i).address) for i in range(int(config["clients"]))]
    terms = model_config(
        *circuits,
        first,
        deployment,
        guardians=[str(g.address) for g in GUARDIANS],
        guardian_threshold=2,
        min_trainers=2,
    )
    model_id, _ = register_model(hub, terms, trainers)
    return HubStrategy(
        inner,
        circuits,
        hub,
        model_id,
        task.folder(context) / "hub",
        guardians=GUARDIANS,
        vka=verifying_key(circuits[1], deployment.verifier(circuits[1].name)),
        on_invalid=config["on-invalid"],
        trainers=trainers,
    )
