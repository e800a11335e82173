"""The client mod: proves the steps of a train message and sends them with the update, signed."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable

from fedproof.errors import CallerError
from fedproof.exchange.folder import BASE, PLAN, RoundFolder
from fedproof.files import write_whole
from fedproof.flower.answers import answer_records
from fedproof.flower.current import within
from fedproof.flower.enrolment import enrolled
from fedproof.flower.on_chain import HubAccess, commit, submit
from fedproof.flower.wire import FORMAT, PROTOCOL, Call, sent_model, without_arrays
from fedproof.rounds.published import PublishedModel
from fedproof.training import ProvingTrainer


class ProofMod:
    """Proves what the train function did with :func:`current_trainer`.

    ``trainer`` finds who trains on this node, from its context (``node_config["partition-id"]`` in a
    simulation); it is called for every message and may keep what it made. Messages that ask for no proofs
    pass untouched. Of the train function's reply its metrics are sent, and its configs; arrays are replaced
    by the update, which is the steps' own.

    Rounds of a hub are proven to it, not to the server. ``hub`` leads there: it is the client's own choice,
    with which the server's has to agree.

    The round lies in the trainer's own folder, in the layout of a round folder: a client that was killed goes
    on where it stopped when it is asked again, and proves nothing twice.
    """

    def __init__(
        self,
        trainer: Callable[[Context], ProvingTrainer],
        hub: Callable[[Context], HubAccess] | None = None,
    ) -> None:
        self.trainer = trainer
        self.hub = hub

    def __call__(self, msg: Message, ctxt: Context, call_next: ClientAppCallable) -> Message:
        """Enrol, train and prove, or hand the message on.

        Raises :class:`CallerError` for a train function that takes no step or too many, and
        :class:`RoundFault` for a plan that the model's owner has not signed, or another model than it names.
        """
        call = Call.read(msg.content)
        if call is None:
            return call_next(msg, ctxt)
        trainer = self.trainer(ctxt)
        manifest = trainer.circuit.manifest
        if call.key != manifest.key:
            raise CallerError(
                f"the server trains with build {call.key} of {call.circuit!r}, "
                f"here {manifest.name!r} is {manifest.key}",
                hint="compile the same declaration with the same SRS on both sides",
            )
        _stay_with(call, ctxt)
        if call.hub:
            return self._on_hub(trainer, call, msg, ctxt, call_next)
        if call.phase == "enrol":
            return _enrol(trainer, call, msg)
        if call.phase != "train":
            raise CallerError(f"a round without a hub has no phase {call.phase!r}")
        folder = _received(trainer, call, msg)
        # The plan is checked when the round begins: its signature, its model, and that it names this trainer.
        with trainer.round(folder, model_id=call.model_id), within(trainer):
            reply = call_next(msg, ctxt)
            if reply.has_error():
                return reply
            trainer.submit()
        without_arrays(reply)
        for name, part in answer_records(folder, trainer.address, trainer.update).items():
            reply.content[name] = part
        return reply

    def _on_hub(
        self,
        trainer: ProvingTrainer,
        call: Call,
        msg: Message,
        ctxt: Context,
        call_next: ClientAppCallable,
    ) -> Message:
        if self.hub is None:
            raise CallerError(
                f"the server writes to the hub {call.hub}, and this client knows none",
                hint="ProofMod(trainer, hub=...)",
            )
        own = self.hub(ctxt)
        if own.hub.address != call.hub:
            raise CallerError(f"the server writes to the hub {call.hub}, this client to {own.hub.address}")
        if call.phase == "enrol":
            trainer.register(own.hub, call.model_id)
            return _enrol(trainer, call, msg)
        if call.phase == "commit":
            return commit(trainer, own, call, msg, lambda: call_next(msg, ctxt))
        if call.phase == "submit":
            return submit(trainer, own, call, msg)
        raise CallerError(f"a round of a hub has no phase {call.phase!r}")


def _enrol(trainer: ProvingTrainer, call: Call, msg: Message) -> Message:
    raw, signature = enrolled(trainer, call, msg.metadata.dst_node_id)
    record = ConfigRecord({"format": FORMAT, "statement": raw, "signature": signature})
    return Message(RecordDict({PROTOCOL: record}), reply_to=msg)


def _received(trainer: ProvingTrainer, call: Call, msg: Message) -> RoundFolder:
    """Write what the server sent as the beginning of a round folder, the trainer's own."""
    path = trainer.folder / "flower" / call.model_id.hex()[:16] / f"round{call.number}"
    write_whole(path / PLAN, call.plan)
    folder = RoundFolder(path)
    model, plan = sent_model(trainer.circuit, msg), folder.plan
    if plan.number != call.number:
        raise CallerError(f"the server sent the plan of round {plan.number} for round {call.number}")
    PublishedModel.of(trainer.circuit, model, call.model_id, plan.base.round).save(path / BASE)
    return folder


def _stay_with(call: Call, ctxt: Context) -> None:
    # A run trains one model: who answers for a second one could be made to prove for it unawares.
    kept = ctxt.state.config_records.get(PROTOCOL)
    if kept is None:
        ctxt.state[PROTOCOL] = ConfigRecord({"model-id": call.model_id})
    elif kept["model-id"] != call.model_id:
        raise CallerError("the server asks for another model than it began this run with")
