"""What client and server have in common: circuits, data, and whose key is whose."""

from __future__ import annotations

from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import torch
from eth_account.signers.local import LocalAccount
from flwr.app import Context

from fedproof.chain.accounts import devnet_account
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.export import load_attribute
from fedproof.project import Project
from fedproof.rounds import ModelVector
from fedproof.rounds.vectors import training_spec

Array = np.ndarray
HELD_OUT = 360


@cache
def circuit(name: str) -> Circuit:
    """A circuit of the project, compiled if it is not."""
    return CircuitStore(Project.find()).get(name)


def folder(context: Context) -> Path:
    """Where this run writes."""
    chosen = str(context.run_config["folder"])
    return Path(chosen) if chosen else Project.find().build / "flower" / str(context.run_id)


def owner() -> LocalAccount:
    """Whose model it is: signs plans and results. A well-known key, good for a demonstration only."""
    return devnet_account(0)


def trainer_key(client: int) -> LocalAccount:
    """Key of a client. In earnest each client has its own, and the server knows addresses only."""
    return devnet_account(1 + client)


def shard(context: Context, client: int) -> tuple[Array, Array]:
    """The digits of a client: images (n, pixels), labels one-hot (n, 10)."""
    return _split(context)[0][client]


def held_out(context: Context) -> tuple[Array, Array]:
    """The digits that no client has."""
    return _split(context)[1]


def _split(context: Context) -> tuple[list[tuple[Array, Array]], tuple[Array, Array]]:
    spec = training_spec(circuit(str(context.run_config["circuit"])))
    split = load_attribute("models/digits.py:split", Project.find().root)
    return split(int(context.run_config["clients"]), HELD_OUT, seed=0, pixels=prod(spec.sample))


def module(name: str) -> torch.nn.Module:
    """The PyTorch module that a circuit trains, with its first weights."""
    torch.manual_seed(0)
    spec = training_spec(circuit(name))
    return load_attribute(str(spec.model), Project.find().root)()


def first_model(name: str) -> ModelVector:
    """The model before the first round, in the circuit's integers; its salt is drawn at random."""
    parameters = torch.nn.utils.parameters_to_vector(module(name).parameters())
    return ModelVector.from_floats(circuit(name), parameters.detach().numpy())


def accuracy(name: str, model: ModelVector, x: Array, y: Array) -> float:
    """The share of right answers of a model, in floats."""
    net = module(name)
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(torch.from_numpy(model.floats).float(), net.parameters())
        scores = net(torch.from_numpy(x).float().reshape(-1, *training_spec(circuit(name)).sample))
    return float((scores.argmax(1).numpy() == y.argmax(1)).mean())
