"""Plays the next round of a model, or finishes the one in progress: a process for the tests to kill.

Arguments: a JSON file with the folders and the model id. Prints a line at each step of each stage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from demo_world import running_devnet

from fedproof.chain.accounts import devnet_account
from fedproof.chain.deploy import open_chains
from fedproof.chain.deployment import load_deployment
from fedproof.chain.hub import HubClient
from fedproof.circuits.store import CircuitStore
from fedproof.project import Project
from fedproof.rounds import Aggregator, Dataset
from fedproof.rounds.driver import RoundDriver
from fedproof.rounds.session import TrainerSession


def driver_of(told: dict[str, str], steps: int) -> RoundDriver:
    """The driver over what lies in the folders and on the chain; nothing else is remembered."""
    store = CircuitStore(Project(Path(told["root"]), Path(told["build"])))
    training, average = store.get(told["circuit"]), store.get(f"{told['circuit']}-average")
    devnet = running_devnet(Path(told["devnet"]))
    chains = open_chains(devnet.network, devnet=devnet)
    deployment = load_deployment("demo", Path(told["deployments"]))
    hub = HubClient(chains.l2, deployment.hub, deployment.abis["FedproofHub"])
    folder, model_id = Path(told["folder"]), bytes.fromhex(told["model_id"])
    sessions = []
    for index in json.loads(told["accounts"]):
        own = folder / f"trainer{index}"
        dataset = Dataset.load(training, own / "dataset.json")
        sessions.append(
            TrainerSession(training, dataset, hub.acting_as(devnet_account(index)), model_id, own)
        )
    return RoundDriver(hub, model_id, sessions, Aggregator(average), folder, steps=steps)


def main(path: str) -> None:
    """Play one round."""
    told = json.loads(Path(path).read_text())
    driver = driver_of(told, int(told["steps"]))
    driver.progress = lambda stage, done, total: print(stage, done, total, flush=True)
    outcome = driver.run()
    print("finalized", outcome.number, outcome.model_hash.hex(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
