"""A round in progress between two trainers, and what a client may put in place of its reply."""

from __future__ import annotations

import copy
import secrets

import numpy as np
from flower_forger import Forger
from flower_world import ACCOUNTS, NODES, OWNER, World, sent
from flwr.app import Array, ArrayRecord, ConfigRecord, Message

from fedproof.exchange.folder import RoundFolder
from fedproof.flower.gate import Gate
from fedproof.flower.wire import read_vector
from fedproof.rounds import ModelVector


class Stage:
    """A round in progress between two trainers, with the honest reply of each."""

    def __init__(self, world: World, folder) -> None:
        self.world, self.strategy, self.grid = world, world.strategy(folder), world.honest(2)
        self.sent = list(self.strategy.configure_train(1, world.arrays, ConfigRecord(), self.grid))
        self.replies = {r.metadata.src_node_id: r for r in self.grid.send_and_receive(self.sent)}
        self.plan = self.gate.folder.plan

    def again(self) -> Stage:
        """The same round and the same replies, before any of them was looked at."""
        known, circuits = self.gate, (self.world.training, self.world.average)
        self.strategy._gate = Gate(circuits, known.folder, known.enrolments, OWNER, self.world.prover)
        return self

    @property
    def gate(self) -> Gate:
        assert self.strategy._gate is not None
        return self.strategy._gate

    def honest(self, index: int = 0) -> Message:
        return copy.deepcopy(self.replies[NODES[index]])

    def asked(self, index: int = 0) -> Message:
        return next(m for m in self.sent if m.metadata.dst_node_id == NODES[index])

    def forger(self, model: ModelVector | None = None, of: int = 0) -> Forger:
        """A client that signs as the first trainer, on the data of trainer ``of``."""
        dataset = self.world.trainers[of].dataset
        return Forger.at(model or self.world.genesis, dataset, ACCOUNTS[0], self.world.prover)

    def of(self, forger: Forger) -> Message:
        """What the first node would send for the steps of ``forger``."""
        folder = RoundFolder(self.world.folder / secrets.token_hex(8))
        return sent(Message(forger.answer(self.plan, folder), reply_to=self.asked()))

    def demand_refused(self, reply: Message, reason: str) -> None:
        before = dict(self.gate.accepted)
        refused = self.gate.accept(sent(reply))
        assert refused is not None
        assert reason in refused.reason
        assert self.gate.accepted == before

    def demand_accepted(self, reply: Message) -> None:
        refused = self.gate.accept(reply)
        assert refused is None, refused


def record(reply: Message) -> ConfigRecord:
    return reply.content.config_records["fedproof"]


def update_of(world: World, reply: Message) -> np.ndarray:
    return read_vector(reply.content.array_records["update"], world.training.manifest.slot("model").length)


def rewritten(raw: bytes, kind, **changes) -> bytes:
    document = kind.model_validate_json(raw)
    return document.model_copy(update=changes).model_dump_json().encode()


def refused_enrolment(world: World, folder, *mods, **options) -> str:
    strategy = world.strategy(folder, **options)
    list(strategy.configure_train(1, world.arrays, ConfigRecord(), world.grid(world.app(0, *mods))))
    (refused,) = strategy.refused
    assert refused.trainer is None
    return refused.reason


def scaling(message, context, call_next):
    reply = call_next(message, context)
    if "update" in reply.content.array_records:
        arrays = reply.content.array_records["update"]
        reply.content["update"] = ArrayRecord({"vector": Array(10 * arrays["vector"].numpy())})
    return reply
