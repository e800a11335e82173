"""A client's part in a round of a hub: first it trains and commits, then it proves and submits.

Two messages, because a hub takes no submission before everyone has committed, and a client that waited for
the others would keep them from being asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from flwr.app import ConfigRecord, Message, RecordDict

from fedproof.chain.hub import HubClient
from fedproof.flower.current import within
from fedproof.flower.wire import (
    FORMAT,
    PROTOCOL,
    UPDATE,
    Call,
    sent_model,
    vector_record,
    without_arrays,
)
from fedproof.rounds import ModelVector
from fedproof.training import ProvingTrainer
from fedproof.training.delivery import NotYet


@dataclass(frozen=True)
class HubAccess:
    """A hub, and the words of the key that its step verifier takes, where that is a reusable one.

    The account of ``hub`` is of no matter: a trainer acts as itself.
    """

    hub: HubClient
    vka: tuple[bytes, ...] = ()


def commit(
    trainer: ProvingTrainer, access: HubAccess, call: Call, msg: Message, train: Callable[[], Message]
) -> Message:
    """Train from the hub's current model and commit to the steps; return the reply of ``train``.

    Raises :class:`CommitmentMismatch` if the server sent another model than the hub has.
    """
    model = _current(trainer, access, call, msg)
    with trainer.round(call.number, model, model_id=call.model_id), within(trainer):
        reply = train()
        if reply.has_error():
            return reply
        # The last to commit may submit at once, everybody else when asked again.
        with suppress(NotYet):
            trainer.submit(access.hub, vka=access.vka)
    without_arrays(reply)
    reply.content[PROTOCOL] = ConfigRecord({"format": FORMAT})
    return reply


def submit(trainer: ProvingTrainer, access: HubAccess, call: Call, msg: Message) -> Message:
    """Show the hub the proofs of the steps committed to, unless that was done; return the update."""
    model = _current(trainer, access, call, msg)
    with trainer.round(call.number, model, model_id=call.model_id):
        trainer.submit(access.hub, vka=access.vka)
    record = ConfigRecord({"format": FORMAT})
    return Message(RecordDict({UPDATE: vector_record(trainer.update), PROTOCOL: record}), reply_to=msg)


def _current(trainer: ProvingTrainer, access: HubAccess, call: Call, msg: Message) -> ModelVector:
    model = sent_model(trainer.circuit, msg)
    base = access.hub.round(call.model_id, call.number).base
    trainer.circuit.committer.check_opening(
        model.vector.tolist(), base, what="the model that the server sent"
    )
    return model
