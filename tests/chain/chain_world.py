"""Two chains with everything deployed, and an honest game of rounds on them, for the tests that need them.

Vectors are scalars times the generator and proofs are sealed points (MockCircuitVerifier), so rounds cost
milliseconds; everything else is the real thing. Real proofs are in the end-to-end tests.
"""

from __future__ import annotations

import itertools
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak
from py_ecc.optimized_bn128 import G1, curve_order, multiply, normalize
from web3.types import RPCEndpoint

from fedproof.chain.accounts import devnet_account
from fedproof.chain.artefacts import Artefact
from fedproof.chain.client import ChainClient
from fedproof.chain.deploy import ChainPair, deploy, open_chains
from fedproof.chain.deployment import Deployment
from fedproof.chain.devnet import Devnet
from fedproof.chain.digests import batch_leaf, commit_digest, finalize_context, step_context
from fedproof.chain.hub import HubClient, ModelConfig, StepProof
from fedproof.chain.merkle import MerkleTree
from fedproof.chain.places import contracts_root
from fedproof.chain.registry import RegistryClient
from fedproof.chain.solidity import compile_sources
from fedproof.commitments import Point, challenge

TAIL = 7
LATE = 5
"""Scalar of the late vector's commitment, in circuits with a challenge."""
ONES = 11
GENESIS = 1_000_003
WEIGHT_BITS = 16
MOCK = "test/kit/MockCircuitVerifier.sol"


def point(scalar: int) -> tuple[int, int]:
    """``scalar`` times the generator of BN254."""
    if scalar % curve_order == 0:
        return (0, 0)
    x, y = normalize(multiply(G1, scalar % curve_order))
    return (int(x), int(y))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Game:
    """A model on the hub with honest trainers who know every scalar."""

    hub: HubClient
    model_id: bytes
    trainers: list[LocalAccount]
    guardians: list[LocalAccount]
    challenged: bool = False
    model: int = GENESIS
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(500_000))
    batches: dict[str, list[int]] = field(default_factory=dict)

    def seal(self, circuit: str, scalars: list[int], context: bytes) -> bytes:
        """A proof that the mock accepts in ``context``, or in any if its circuit has no challenge."""
        drawn = 0
        if self.challenged:
            drawn = challenge(context, [(Point(*point(scalar)),) for scalar in scalars])
            scalars = [*scalars, LATE]
        body = b"".join(encode(["uint256", "uint256"], list(point(scalar))) for scalar in scalars)
        name = circuit.encode().ljust(32, b"\0")
        return body + keccak(encode(["bytes32", "uint256", "bytes"], [name, drawn, body]))

    def register_datasets(self, size: int = 8) -> None:
        for trainer in self.trainers:
            batches = [next(self.counter) for _ in range(size)]
            self.batches[trainer.address] = batches
            self.hub.acting_as(trainer).register_dataset(self.model_id, self.tree(trainer).root)

    def tree(self, trainer: LocalAccount) -> MerkleTree:
        return MerkleTree([batch_leaf([point(batch)]) for batch in self.batches[trainer.address]])

    def prepare(
        self, trainer: LocalAccount, steps: int, number: int
    ) -> tuple[list[StepProof], list[tuple[int, int]], int]:
        """Step proofs, revealed points, and the update as a scalar."""
        model, proofs, revealed = self.model, [], []
        tree, context = self.tree(trainer), step_context(self.model_id, number, trainer.address)
        for batch in self.batches[trainer.address][:steps]:
            delta = next(self.counter)
            proof = self.seal("step", [model + TAIL, batch + TAIL, delta + TAIL], context)
            proofs.append(StepProof(proof, tree.path(batch_leaf([point(batch)]))))
            revealed += [point(batch + TAIL), point(delta + TAIL)]
            model -= delta
        return proofs, revealed, model - self.model

    def submit_all(self, steps: int = 2) -> tuple[int, dict[str, int]]:
        """A round up to its last submission: its number, and each trainer's update as a scalar."""
        number, _ = self.hub.open_round(self.model_id)
        ready = {}
        for trainer in self.trainers:
            nonce, (proofs, revealed, update) = secrets.token_bytes(32), self.prepare(trainer, steps, number)
            digest = commit_digest(self.model_id, number, trainer.address, nonce, revealed)
            self.hub.acting_as(trainer).commit(self.model_id, number, digest)
            ready[trainer.address] = (trainer, nonce, proofs, update)
        for trainer, nonce, proofs, _ in ready.values():
            self.hub.acting_as(trainer).submit(self.model_id, number, nonce, proofs)
        return number, {address: item[3] for address, item in ready.items()}

    def aggregate(
        self, number: int, updates: dict[str, int], context: bytes | None = None
    ) -> tuple[bytes, int]:
        """An aggregation proof of the round and the delta it commits to, as a scalar.

        It is made for the round's context, or for another one that is given.
        """
        weights = self.hub.weights(self.model_id, number)
        total = sum(weight * updates[trainer] for trainer, weight in weights.items())
        delta = total // 2**WEIGHT_BITS
        remainder = total + (2 ** (WEIGHT_BITS - 1) + 1) * ONES - 2**WEIGHT_BITS * delta
        context = finalize_context(self.model_id, number) if context is None else context
        return self.seal("aggregate", [remainder + TAIL, delta + TAIL], context), delta

    def play(self, steps: int = 2) -> tuple[int, bytes]:
        """A whole round: its number and the hash of the new model."""
        number, updates = self.submit_all(steps)
        proof, delta = self.aggregate(number, updates)
        found, _ = self.hub.finalize(self.model_id, number, proof)
        self.model += delta
        return number, found


@dataclass
class World:
    """A running devnet with a deployment."""

    devnet: Devnet
    chains: ChainPair
    deployment: Deployment
    folder: Path
    mock: Artefact

    @property
    def hub(self) -> HubClient:
        return HubClient(self.chains.l2, self.deployment.hub, self.deployment.abis["FedproofHub"])

    @property
    def registry(self) -> RegistryClient:
        return RegistryClient(self.chains.l1, self.deployment.registry)

    def game(
        self, trainers: int = 2, *, bond: int = 0, periods: int = 3600, challenged: bool = False
    ) -> Game:
        """A new model with ``trainers`` admitted trainers and their datasets, and three guardians of two."""
        people = [devnet_account(index) for index in range(1, trainers + 1)]
        guardians = [devnet_account(index) for index in range(20, 23)]
        step, aggregate = self._verifier(b"step", 3, challenged), self._verifier(b"aggregate", 2, challenged)
        config = ModelConfig(
            genesis=[point(GENESIS)],
            ones=[point(ONES)],
            tail=point(TAIL),
            batch_columns=1,
            step_verifier=step,
            aggregate_verifier=aggregate,
            samples_per_step=16,
            guardians=[guardian.address for guardian in guardians],
            guardian_threshold=2,
            weight_bits=WEIGHT_BITS,
            commit_period=periods,
            submit_period=periods,
            finalize_period=periods,
            bond=bond,
        )
        model_id, _ = self.hub.register_model(config)
        for trainer in people:
            self.hub.admit(model_id, trainer.address)
        game = Game(self.hub, model_id, people, guardians, challenged)
        game.register_datasets()
        return game

    def _verifier(self, circuit: bytes, points: int, challenged: bool) -> str:
        counts = (points + 1, points) if challenged else (points, 0)
        found = self.chains.l2.deploy(self.mock, circuit.ljust(32, b"\0"), *counts).contract
        assert found
        return found

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Put both chains back to what they were."""
        clients = (self.chains.l2, self.chains.l1)
        marks = [rpc(client, "evm_snapshot") for client in clients]
        try:
            yield
        finally:
            for client, mark in zip(clients, marks, strict=True):
                assert rpc(client, "evm_revert", mark)


def rpc(client: ChainClient, method: str, *parameters: object) -> object:
    answer = client.w3.provider.make_request(RPCEndpoint(method), list(parameters))
    assert "error" not in answer, answer
    return answer["result"]


def mock_verifier() -> Artefact:
    text = (contracts_root() / MOCK).read_text(encoding="utf-8")
    return compile_sources({MOCK: text})["MockCircuitVerifier"]


@pytest.fixture(scope="session")
def empty_devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Two running chains with nothing on them but what other tests put there."""
    net = Devnet(tmp_path_factory.mktemp("devnet"), l2_port=free_port(), l1_port=free_port())
    net.up()
    yield net
    net.down()


@pytest.fixture(scope="session")
def world(empty_devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything deployed, once a session."""
    folder = tmp_path_factory.mktemp("deployments")
    chains = open_chains(empty_devnet.network, devnet=empty_devnet)
    deployment = deploy("world", chains, folder=folder)
    return World(empty_devnet, chains, deployment, folder, mock_verifier())
