"""The client: trains in the circuit's integers; the mod proves what it did."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from fedproof.flower import ProofMod, current_trainer
from fedproof.training import ProvingTrainer
from flower_digits import on_hub, task

_trainers: dict[Path, ProvingTrainer] = {}


def trainer(context: Context) -> ProvingTrainer:
    """Find the trainer of this node; its folder keeps the salts of its data, and what it did so far."""
    client = int(context.node_config["partition-id"])
    folder = task.folder(context) / "clients" / str(client)
    if folder not in _trainers:
        circuit = task.circuit(str(context.run_config["circuit"]))
        _trainers[folder] = ProvingTrainer(
            circuit, key=task.trainer_key(client), folder=folder, data=task.shard(context, client)
        )
    return _trainers[folder]


def cheat(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Send ten times the update that was proven, if this is the client that cheats."""
    reply = call_next(message, context)
    arrays = reply.content.array_records.get("update") if reply.has_content() else None
    if arrays is not None and context.node_config["partition-id"] == context.run_config["cheat"]:
        reply.content["update"] = ArrayRecord({"vector": Array(10 * arrays["vector"].numpy())})
    return reply


app = ClientApp()


@app.train(mods=[cheat, ProofMod(trainer, hub=on_hub.access)])
def train(message: Message, context: Context) -> Message:
    """Take exact steps on the batches that are next, and have them proven meanwhile."""
    own, losses = current_trainer(), []
    for batch in islice(own, int(context.run_config["steps"])):
        losses.append(own.step(batch).loss)
        own.prove()
    metrics = MetricRecord({"train-loss": float(np.mean(losses))})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
