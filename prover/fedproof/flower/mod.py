"""The client mod: proves the steps of a train message and sends them with the update, signed."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable
from pydantic import ValidationError

from fedproof.chain.digests import model_hash
from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.documents import RoundPlan
from fedproof.exchange.fields import to_bytes, to_hex
from fedproof.exchange.signing import check_signature, plan_message
from fedproof.flower.answers import answered
from fedproof.flower.enrolment import enrolled
from fedproof.flower.local import LocalRound, LocalTrainer, within
from fedproof.flower.wire import FORMAT, PROTOCOL, Call, model_of


class ProofMod:
    """Proves what the train function did with :func:`local_round`.

    ``trainer`` finds who trains on this node, from its context (``node_config["partition-id"]`` in a
    simulation); it is called for every message and may keep what it made. Messages that ask for no proofs
    pass untouched. Of the train function's reply its metrics are sent, and its configs; arrays are replaced
    by the update, which is the steps' own.
    """

    def __init__(self, trainer: Callable[[Context], LocalTrainer]) -> None:
        self.trainer = trainer

    def __call__(self, msg: Message, ctxt: Context, call_next: ClientAppCallable) -> Message:
        """Enrol, train and prove, or hand the message on. Raises as :class:`Trainer` does."""
        call = Call.read(msg.content)
        if call is None:
            return call_next(msg, ctxt)
        local = self.trainer(ctxt)
        if call.key != local.circuit.manifest.key:
            raise CallerError(
                f"the server trains with build {call.key} of {call.circuit!r}, "
                f"here {local.circuit.name!r} is {local.circuit.manifest.key}",
                hint="compile the same declaration with the same SRS on both sides",
            )
        _stay_with(call, ctxt)
        if call.phase == "enrol":
            raw, signature = enrolled(local, call, msg.metadata.dst_node_id)
            record = ConfigRecord({"format": FORMAT, "statement": raw, "signature": signature})
            return Message(RecordDict({PROTOCOL: record}), reply_to=msg)
        return self._train(local, call, msg, ctxt, call_next)

    def _train(
        self, local: LocalTrainer, call: Call, msg: Message, ctxt: Context, call_next: ClientAppCallable
    ) -> Message:
        arrays = list(msg.content.array_records.values())
        if len(arrays) != 1:
            raise CallerError(f"the server sent {len(arrays)} array records, one model is expected")
        plan = _checked_plan(local, call)
        with within(LocalRound(local, call.number, model_of(local.circuit, arrays[0]))) as played:
            reply = call_next(msg, ctxt)
        if reply.has_error():
            return reply
        _demand_steps(played, plan)
        for name in list(reply.content.array_records):
            del reply.content[name]
        for name, record in answered(played, plan).items():
            reply.content[name] = record
        return reply


def _checked_plan(local: LocalTrainer, call: Call) -> RoundPlan:
    """Return the plan that a message carries: signed by the owner of the model that the run began with."""
    try:
        plan = RoundPlan.model_validate_json(call.plan)
    except ValidationError as e:
        raise InvalidProof(f"the server sent no plan of a round: {e.errors()[0]['msg']}") from e
    stated = (to_bytes(plan.model_id), plan.model.id, plan.number)
    if stated != (call.model_id, call.model_id, call.number):
        raise InvalidProof("the server sent the plan of another round or model")
    if plan.model.training.key != local.circuit.manifest.key:
        raise InvalidProof("the model's id stands for another circuit than the server asks for")
    check_signature(
        plan_message(plan.id_bytes, plan.number, plan.digest),
        plan.signature,
        plan.model.owner,
        what=f"the plan of round {plan.number}",
    )
    own = plan.registration(local.address)
    if own is None or to_bytes(own.dataset_root) != local.dataset.tree.root:
        raise InvalidProof(f"the plan does not name {local.address} with the dataset that it registered")
    return plan


def _demand_steps(played: LocalRound, plan: RoundPlan) -> None:
    """Check what was done against the plan, before it is proven."""
    taken = played.trainer.steps
    if not 0 < len(taken) <= plan.model.max_steps:
        raise CallerError(
            f"the train function took {len(taken)} steps that can be proven, a round takes 1 to "
            f"{plan.model.max_steps}",
            hint="take them with local_round().step(batch)",
        )
    committer = played.local.circuit.committer
    start = committer.to_pure(taken[0].commitment("model"))
    if to_hex(model_hash(plan.id_bytes, plan.base.round, start)) != plan.base.model_hash:
        raise InvalidProof("the server sent another model than its plan names")


def _stay_with(call: Call, ctxt: Context) -> None:
    # A run trains one model: who answers for a second one could be made to prove for it unawares.
    kept = ctxt.state.config_records.get(PROTOCOL)
    if kept is None:
        ctxt.state[PROTOCOL] = ConfigRecord({"model-id": call.model_id})
    elif kept["model-id"] != call.model_id:
        raise CallerError("the server asks for another model than it began this run with")
