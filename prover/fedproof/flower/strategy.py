"""The server's side: a strategy that hands on what was checked, and nothing else."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Literal

from eth_account.signers.local import LocalAccount
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError, InvalidProof
from fedproof.exchange.documents import OfflineModel, Registration
from fedproof.exchange.opening import open_round
from fedproof.flower.enrolment import Enrolments
from fedproof.flower.gate import Gate, Refused
from fedproof.flower.inner import Inner, common_metrics
from fedproof.flower.wire import PROTOCOL, Call, Phase, arrays_of, model_of, value
from fedproof.lowering.ir import IntArray
from fedproof.provers import CpuProver, Prover
from fedproof.rounds import ModelVector
from fedproof.rounds.vectors import training_spec

logger = logging.getLogger("flwr")

#: Metrics that a round gains: replies that were relied on, and those that were not.
ACCEPTED, REFUSED = "fedproof-accepted", "fedproof-refused"

Number = int | float | list[int] | list[float]


class VerifiableStrategy(Strategy):
    """Wraps a strategy of Flower's message API: only replies whose every step is proven reach it.

    The model travels as integers (:func:`arrays_of`, :func:`model_of`). Where ``inner`` averages as FedAvg
    does, the new model is the exact integer average, weighted by proven steps, with a proof of its own;
    another strategy's model is rounded to integers, and how it came about is not proven.

    ``circuits`` are that of a step and that of its average, ``key`` is the model owner's, who signs plans and
    results. ``folder`` gets a round folder for each round. ``trainers`` admits these addresses only. With
    ``on_invalid="fail"`` a reply that does not hold ends the run; with ``"drop"`` it is left out, logged, and
    noted in :attr:`refused`. Rounds with fewer than ``min_trainers`` good replies leave the model as it is.
    """

    def __init__(
        self,
        inner: Strategy,
        circuits: tuple[Circuit, Circuit],
        key: LocalAccount,
        folder: Path | str,
        *,
        on_invalid: Literal["drop", "fail"] = "drop",
        trainers: Collection[str] | None = None,
        min_trainers: int = 1,
        max_steps: int | None = None,
        prover: Prover | None = None,
        enrol_timeout: float = 3600,
    ) -> None:
        if on_invalid not in ("drop", "fail"):
            raise CallerError(f"on_invalid is {on_invalid!r}", hint="'drop' or 'fail'")
        self.inner = Inner(inner)
        self.training, self.average = circuits
        if not all(part.manifest.challenge_points for part in self.training.parts):
            raise CallerError(
                f"proofs of {self.training.name!r} name nobody: without a challenge anyone could show them",
                hint="compile it with this version",
            )
        self.key = key
        self.folder = Path(folder)
        self.on_invalid = on_invalid
        self.trainers = trainers
        self.min_trainers = min_trainers
        self.max_steps = max_steps
        self.prover = prover or CpuProver()
        self.enrol_timeout = enrol_timeout
        self.refused: list[Refused] = []
        self._model: OfflineModel | None = None
        self._enrolments: Enrolments | None = None
        self._newest = 0
        self._gate: Gate | None = None

    def summary(self) -> None:
        """Log what is checked, then what the wrapped strategy says of itself."""
        logger.info("\t├──> Proofs:")
        logger.info("\t│\t├── Circuits: %s, %s", self.training.name, self.average.name)
        admitted = "whoever has a key" if self.trainers is None else f"{len(self.trainers)}, by address"
        logger.info("\t│\t├── Trainers: %s", admitted)
        logger.info("\t│\t├── A reply that does not hold: %s", self.on_invalid)
        average = "exact and proven" if self.inner.averages else "the wrapped strategy's, not proven"
        logger.info("\t│\t├── New model: %s", average)
        logger.info("\t│\t└── Round folders: %s", self.folder)
        self.inner.strategy.summary()

    # -- training -----------------------------------------------------------------------------------

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Enrol nodes that are new, open the round, and send everyone the model and the signed plan."""
        model = model_of(self.training, arrays)
        enrolments = self._begun(model)
        shown = self.inner.model(model)
        messages = list(self.inner.strategy.configure_train(server_round, shown, config, grid))
        nodes = [m.metadata.dst_node_id for m in messages]
        self._enrol(server_round, enrolments, nodes, grid)
        taking_part = {n: r for n in nodes if (r := enrolments.of(n)) is not None}
        if not taking_part:
            logger.warning("round %s: no node speaks for a trainer", server_round)
            return []
        chosen = [m for m in messages if m.metadata.dst_node_id in taking_part]
        return self._open(server_round, model, chosen, list(taking_part.values()), grid)

    def _open(
        self,
        server_round: int,
        model: ModelVector,
        messages: list[Message],
        registrations: list[Registration],
        grid: Grid,  # noqa: ARG002 - a round of a hub asks twice
    ) -> list[Message]:
        assert self._model is not None
        assert self._enrolments is not None
        folder = open_round(
            self.folder / f"round{server_round}",
            self._model,
            self.training,
            model,
            registrations,
            self.key,
            number=server_round,
            parent=self._newest,
            min_trainers=min(self.min_trainers, len(registrations)),
        )
        self._gate = Gate((self.training, self.average), folder, self._enrolments, self.key, self.prover)
        plan = folder.plan.model_dump_json().encode()
        call = self._call("train", self._model.id, number=server_round, plan=plan)
        return [with_model(m, model, call) for m in messages]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Check every reply; aggregate those that hold.

        Raises :class:`InvalidProof` for one that does not if ``on_invalid`` is ``"fail"``.
        """
        gate, before = self._gate, len(self.refused)
        self._gate = None
        if gate is None or gate.number != server_round:
            return None, None
        good, failed = [], []
        for reply in replies:
            if reply.has_error():
                failed.append(reply)
                gate.failed(reply)
                node, reason = reply.metadata.src_node_id, reply.error.reason
                logger.warning("round %s: the client of node %s failed: %s", server_round, node, reason)
            elif (refused := gate.accept(reply)) is None:
                good.append(reply)
            else:
                self._refuse(refused)
        counts: dict[str, Number] = {ACCEPTED: len(good), REFUSED: len(self.refused) - before}
        logger.info("round %s: %s replies hold, %s do not", server_round, *counts.values())
        if len(good) < max(1, self.min_trainers):
            logger.warning("round %s: too few replies hold, the model stays as it is", server_round)
            return None, MetricRecord(counts)
        accepted = [(c.vector, c.steps) for c in gate.accepted.values()]
        made, metrics = self._by_inner(server_round, gate.base, good, accepted, failed)
        model = self._new_model(gate, made)
        self._newest = server_round
        return arrays_of(model), MetricRecord({**(metrics or {}), **counts})

    # -- evaluation ---------------------------------------------------------------------------------

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the model, in integers, to whom the wrapped strategy chooses."""
        model = model_of(self.training, arrays)
        shown = self.inner.model(model)
        messages = self.inner.strategy.configure_evaluate(server_round, shown, config, grid)
        return [with_model(m, model) for m in messages]

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Hand the replies on: what clients say of a model is their word, nothing proves it."""
        return self.inner.strategy.aggregate_evaluate(server_round, replies)

    # -- steps --------------------------------------------------------------------------------------

    def _begun(self, model: ModelVector) -> Enrolments:
        """Fix the run's model at its first round: the id says where it starts and whose it is."""
        if self._enrolments is None:
            owner = str(self.key.address)
            self._model = OfflineModel.of(self.training, self.average, model, owner, max_steps=self.max_steps)
            self._enrolments = Enrolments(self._model.id, self.trainers)
            logger.info("model id 0x%s, owned by %s", self._model.id.hex(), owner)
        return self._enrolments

    def _enrol(self, number: int, enrolments: Enrolments, nodes: list[int], grid: Grid) -> None:
        strangers = [n for n in nodes if enrolments.of(n) is None]
        if not strangers:
            return
        call = self._call("enrol", enrolments.model_id, nonce=secrets.token_bytes(32))
        content = RecordDict({PROTOCOL: call.record()})
        asked = [Message(content, n, MessageType.TRAIN) for n in strangers]
        for reply in grid.send_and_receive(asked, timeout=self.enrol_timeout):
            node = reply.metadata.src_node_id
            if reply.has_error():
                logger.warning("node %s did not enrol: %s", node, reply.error.reason)
                continue
            try:
                record = reply.content.config_records.get(PROTOCOL, ConfigRecord())
                raw, signature = (value(record, name, bytes) for name in ("statement", "signature"))
                found = enrolments.enrol(node, call, raw, signature)
            except InvalidProof as e:
                self._refuse(Refused(number, node, None, str(e)))
                continue
            logger.info("node %s speaks for trainer %s", node, found.trainer)

    def _refuse(self, refused: Refused) -> None:
        self.refused.append(refused)
        who = refused.trainer or "no trainer"
        logger.warning(
            "round %s: dropped the reply of node %s (%s): %s",
            refused.round, refused.node, who, refused.reason,
        )  # fmt: skip
        if self.on_invalid == "fail":
            raise InvalidProof(
                f"round {refused.round}: the reply of node {refused.node} ({who}): {refused.reason}"
            )

    def _by_inner(
        self,
        number: int,
        base: ModelVector,
        good: list[Message],
        accepted: list[tuple[IntArray, int]],
        failed: list[Message],
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the wrapped strategy aggregate; ``accepted`` are updates and steps of the ``good`` replies."""
        batch = training_spec(self.training).batch
        metrics = common_metrics([m.content for m in good])
        shown = [
            self.inner.shown(reply, base.plus(update), steps * batch, own)
            for reply, (update, steps), own in zip(good, accepted, metrics, strict=True)
        ]
        return self.inner.strategy.aggregate_train(number, [*shown, *failed])

    def _new_model(self, gate: Gate, made: ArrayRecord | None) -> ModelVector:
        if not self.inner.averages:
            return gate.base if made is None else self.inner.result(self.training, made)
        gate.finish()
        return gate.folder.model.model

    def _call(self, phase: Phase, model_id: bytes, **rest: Any) -> Call:  # noqa: ANN401 - fields of Call
        manifest = self.training.manifest
        return Call(phase, model_id, manifest.name, manifest.key, **rest)


def with_model(message: Message, model: ModelVector, call: Call | None = None) -> Message:
    """Put the model's integers where the wrapped strategy put its floats, and what is asked for.

    Messages of a strategy may share their content: this one gets its own.
    """
    records: dict[str, ConfigRecord] = {} if call is None else {PROTOCOL: call.record()}
    content = RecordDict({**message.content.config_records, **message.content.metric_records, **records})
    for name in message.content.array_records or ["arrays"]:
        content[name] = arrays_of(model)
    message.content = content
    return message
