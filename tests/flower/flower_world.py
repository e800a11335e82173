"""A Flower federation in one process: real apps, messages and strategies; only the network is missing."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from eth_account import Account
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.serverapp.strategy import FedAvg, Strategy
from flwr.supercore.task_identity import TaskIdentity

from fedproof.circuits.layout import VK
from fedproof.circuits.store import Circuit
from fedproof.flower import ProofMod, VerifiableStrategy, arrays_of, current_trainer
from fedproof.lowering import salt_length
from fedproof.provers import ProofRun, Prover
from fedproof.provers.base import Closing
from fedproof.rounds import Dataset, ModelVector
from fedproof.rounds.vectors import training_spec
from fedproof.training import ProvingTrainer

OWNER = Account.from_key(b"\x0f" * 32)
ACCOUNTS = [Account.from_key(bytes([i + 1]) * 32) for i in range(4)]
#: Flower's node ids are 64 bits wide.
NODES = [2**63 + 11 * i for i in range(4)]

TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 7, 1

Mod = Callable[[Message, Context, Callable[[Message, Context], Message]], Message]


class Believing(Closing):
    """Takes seconds off a test: its proofs are commitments and padding, and it believes every one.

    So what a check of proofs would find is found by no test that uses it, and what other checks find, they
    find alone.
    """

    name, toolchain, parallel = "believing", "none", 1

    def __init__(self, *circuits: Circuit) -> None:
        self.circuits = {len(c.manifest.slots): c for c in circuits}

    def prove(self, folder, srs, slots) -> ProofRun:
        circuit = self.circuits[len(slots)]
        points = [p for s in slots for p in circuit.committer.full(list(s))]
        manifest = circuit.manifest
        challenged = (slots[-1][0],) if manifest.challenge_points else ()
        raw = b"".join(p.to_bytes() for p in points).ljust(manifest.costs.proof_bytes, b"\1")
        return ProofRun(raw, (*manifest.instances, *challenged), 0.1, 0.2, 1)

    def verify(self, folder, srs, proof, instances) -> bool:
        return True


def with_key(circuit: Circuit) -> Circuit:
    """The circuit as if it had been compiled, for those who only name its verifying key."""
    manifest = circuit.manifest.model_copy(update={"artefacts": {VK: "ab" * 32}})
    found = Circuit(circuit.folder, manifest, circuit.srs)
    vars(found).update(program=circuit.program, committer=circuit.committer)
    return found


def sent(message: Message) -> Message:
    """The message as it arrives: through Flower's own encoding."""
    return message_from_proto(message_to_proto(message))


@dataclass
class Node:
    """A node: an app with what it remembers of the run."""

    app: ClientApp
    context: Context


@dataclass
class Grid:
    """Flower's grid, as far as strategies use it; ``replies`` are all that were sent."""

    nodes: dict[int, Node]
    replies: list[Message] = field(default_factory=list)
    asked: list[Message] = field(default_factory=list)

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        found = []
        for message in messages:
            arrived = sent(message)
            self.asked.append(arrived)
            node = self.nodes[arrived.metadata.dst_node_id]
            try:
                reply = sent(node.app(arrived, node.context))
            # As Flower does: what a client app raises becomes an error in its reply.
            except Exception as error:  # noqa: BLE001
                reply = sent(Message(Error(0, f"{type(error).__name__}: {error}"), reply_to=arrived))
            found.append(reply)
        self.replies += found
        return found


def batches(circuit: Circuit, count: int, seed: int) -> Dataset:
    generator, spec = np.random.default_rng(seed), training_spec(circuit)
    x, y = (
        generator.uniform(-0.4, 0.4, (spec.batch * count, *shape)) for shape in (spec.sample, spec.target)
    )
    return Dataset.from_floats(circuit, x, y)


@dataclass
class World:
    """The circuits, four trainers with three batches each, and a first model."""

    training: Circuit
    average: Circuit
    prover: Prover
    folder: Path
    steps: int = 1

    def circuits(self, name: str) -> Circuit:
        return {c.name: c for c in (self.training, self.average)}[name]

    @cached_property
    def bits(self) -> int:
        return self.average.manifest.spec.table

    @cached_property
    def trainers(self) -> list[ProvingTrainer]:
        return [self.trainer(i, batches(self.training, 3, i)) for i in range(len(ACCOUNTS))]

    def trainer(self, index: int, data: Dataset) -> ProvingTrainer:
        # A folder of its own each time: what a trainer keeps of a round would be found again.
        folder = self.folder / secrets.token_hex(8)
        return ProvingTrainer(
            self.training, key=ACCOUNTS[index], folder=folder, data=data, prover=self.prover
        )

    @cached_property
    def genesis(self) -> ModelVector:
        parameters = self.training.manifest.slot("model").length - salt_length(self.training.numbers.table)
        return ModelVector.from_floats(self.training, np.linspace(-0.2, 0.2, parameters))

    def strategy(self, folder: Path, inner: Strategy | None = None, **options) -> VerifiableStrategy:
        inner = inner or FedAvg(fraction_evaluate=0.0, min_train_nodes=1, min_available_nodes=1)
        circuits = (self.training, self.average)
        return VerifiableStrategy(inner, circuits, OWNER, folder, prover=self.prover, **options)

    def app(self, index: int, *outer: Mod, steps: int | None = None) -> ClientApp:
        """An honest app; ``outer`` are mods around the one that proves."""
        app, trainer = ClientApp(), self.trainer(index, self.trainers[index].dataset)

        @app.train(mods=[*outer, ProofMod(lambda _: trainer)])
        def train(message: Message, context: Context) -> Message:
            own = current_trainer()
            for batch in itertools.islice(own, steps or self.steps):
                own.step(batch)
            metrics = MetricRecord({"train-loss": 0.5, "num-examples": 1_000_000})
            return Message(RecordDict({"metrics": metrics}), reply_to=message)

        @app.evaluate()
        def evaluate(message: Message, context: Context) -> Message:
            model = message.content.array_records["arrays"]["vector"].numpy()
            return Message(
                RecordDict({"metrics": MetricRecord({"num-examples": 2, "sum": int(model.sum())})}),
                reply_to=message,
            )

        return app

    def grid(self, *apps: ClientApp) -> Grid:
        return Grid(
            {
                NODES[i]: Node(app, Context(7, NODES[i], {"partition-id": i}, RecordDict(), {}))
                for i, app in enumerate(apps)
            }
        )

    def honest(self, count: int) -> Grid:
        return self.grid(*(self.app(i) for i in range(count)))

    @property
    def arrays(self) -> ArrayRecord:
        return arrays_of(self.genesis)


def play(strategy: VerifiableStrategy, grid: Grid, arrays: ArrayRecord, number: int):
    """One round of training: what the strategy makes of it, and the replies."""
    messages = list(strategy.configure_train(number, arrays, ConfigRecord(), grid))
    replies = grid.send_and_receive(messages)
    return strategy.aggregate_train(number, replies), replies
