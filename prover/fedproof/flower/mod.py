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
from fedproof.flower.wire import FORMAT, PROTOCOL, Call, model_of
from fedproof.rounds.published import PublishedModel
from fedproof.training import ProvingTrainer


class ProofMod:
    """Proves what the train function did with :func:`current_trainer`.

    ``trainer`` finds who trains on this node, from its context (``node_config["partition-id"]`` in a
    simulation); it is called for every message and may keep what it made. Messages that ask for no proofs
    pass untouched. Of the train function's reply its metrics are sent, and its configs; arrays are replaced
    by the update, which is the steps' own.

    The round lies in the trainer's own folder, in the layout of a round folder: a client that was killed goes
    on where it stopped when it is asked again, and proves nothing twice.
    """

    def __init__(self, trainer: Callable[[Context], ProvingTrainer]) -> None:
        self.trainer = trainer

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
        if call.phase == "enrol":
            raw, signature = enrolled(trainer, call, msg.metadata.dst_node_id)
            record = ConfigRecord({"format": FORMAT, "statement": raw, "signature": signature})
            return Message(RecordDict({PROTOCOL: record}), reply_to=msg)
        folder = _received(trainer, call, msg)
        # The plan is checked when the round begins: its signature, its model, and that it names this trainer.
        with trainer.round(folder, model_id=call.model_id), within(trainer):
            reply = call_next(msg, ctxt)
            if reply.has_error():
                return reply
            trainer.submit()
        for name in list(reply.content.array_records):
            del reply.content[name]
        for name, part in answer_records(folder, trainer.address, trainer.update).items():
            reply.content[name] = part
        return reply


def _received(trainer: ProvingTrainer, call: Call, msg: Message) -> RoundFolder:
    """Write what the server sent as the beginning of a round folder, the trainer's own."""
    arrays = list(msg.content.array_records.values())
    if len(arrays) != 1:
        raise CallerError(f"the server sent {len(arrays)} array records, one model is expected")
    path = trainer.folder / "flower" / call.model_id.hex()[:16] / f"round{call.number}"
    write_whole(path / PLAN, call.plan)
    folder = RoundFolder(path)
    model, plan = model_of(trainer.circuit, arrays[0]), folder.plan
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
