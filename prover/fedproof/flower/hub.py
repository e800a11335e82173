"""The server's side of rounds on a hub: contracts check the proofs, the strategy what was sent to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from flwr.app import ArrayRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedproof.chain.hub import HubClient, Phase
from fedproof.circuits.store import Circuit
from fedproof.commitments import CommitmentMismatch
from fedproof.errors import CallerError, InvalidProof, RetryableError
from fedproof.exchange.documents import Registration
from fedproof.exchange.fields import to_bytes
from fedproof.flower.enrolment import Enrolments
from fedproof.flower.gate import Refused
from fedproof.flower.strategy import ACCEPTED, REFUSED, Number, VerifiableStrategy, logger, with_model
from fedproof.flower.wire import PROTOCOL, UPDATE, Call, arrays_of, read_vector
from fedproof.lowering.ir import IntArray
from fedproof.rounds import Aggregator, ModelVector
from fedproof.rounds.averaging import Averaging
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.updates import UpdateMissing

_POLL_S = 1.0


@dataclass
class _Received:
    """Updates that came in replies, by trainer; the averaging recommits to each."""

    vectors: dict[str, IntArray | InvalidProof] = field(default_factory=dict)

    def fetch(self, round_number: int, trainer: str) -> IntArray:  # noqa: ARG002 - one round at a time
        found = self.vectors.get(trainer)
        if found is None:
            raise UpdateMissing(trainer)
        if isinstance(found, InvalidProof):
            raise found
        return found


class HubStrategy(VerifiableStrategy):
    """A :class:`VerifiableStrategy` whose rounds are those of ``model_id`` on a hub.

    ``hub`` acts as the model's owner or one of its trainers. Clients register their datasets, commit and
    submit there themselves, with keys of their own: proofs, signatures, batches and weights are the
    contracts' business. What is left to check is what was sent here: an update that does not open the
    commitment on the hub is refused, and its submission left out with the signatures of ``guardians``,
    without which a round with such an update cannot be finalized. ``vka`` are the words of the average
    verifier's key, if it takes one. Only what averages as FedAvg does can be wrapped.
    """

    def __init__(
        self,
        inner: Strategy,
        circuits: tuple[Circuit, Circuit],
        hub: HubClient,
        model_id: bytes,
        folder: Path | str,
        *,
        guardians: Sequence[LocalAccount] = (),
        vka: tuple[bytes, ...] = (),
        wait_s: float = 600,
        **options: Any,  # noqa: ANN401 - those of VerifiableStrategy
    ) -> None:
        account = hub.client.account
        if account is None:
            raise CallerError("a hub client with an account is needed, to open and to finalize rounds")
        super().__init__(inner, circuits, account, folder, **options)
        if not self.inner.averages:
            raise CallerError("a hub takes weighted averages only", hint="wrap FedAvg")
        self.hub = hub
        self.model_id = model_id
        self.guardians = sorted(guardians, key=lambda a: str(a.address).lower())
        self.wait_s = wait_s
        self._received = _Received()
        aggregator = Aggregator(self.average, self.prover)
        self._averaging = Averaging(hub, model_id, aggregator, self._received, self.folder, vka)
        self._number = 0
        self._base: ModelVector | None = None
        self._metrics: dict[int, dict[str, MetricRecord]] = {}

    def _begun(self, model: ModelVector) -> Enrolments:
        current = self.hub.model(self.model_id).current
        self.training.committer.check_opening(model.vector.tolist(), current, what="the model of this run")
        if self._enrolments is None:
            self._enrolments = Enrolments(self.model_id, self.trainers)
            logger.info("model 0x%s on hub %s", self.model_id.hex(), self.hub.address)
        return self._enrolments

    def _open(
        self,
        server_round: int,
        model: ModelVector,
        messages: list[Message],
        registrations: list[Registration],
        grid: Grid,
    ) -> list[Message]:
        """Open the hub's round, have everyone train and commit, and return what asks for the proofs."""
        nodes = self._registered(server_round, messages, registrations)
        if not nodes:
            return []
        self._number, _ = self.hub.open_round(self.model_id)
        self._base, self._received.vectors, self._metrics = model, {}, {}
        logger.info("round %s: round %s of the hub is open", server_round, self._number)
        call = self._call("commit", self.model_id, number=self._number)
        asked = [with_model(m, model, call) for m in messages if m.metadata.dst_node_id in nodes]
        again = self._call("submit", self.model_id, number=self._number)
        committed = []
        for reply in grid.send_and_receive(asked, timeout=self.enrol_timeout):
            node = reply.metadata.src_node_id
            if reply.has_error():
                logger.warning("round %s: node %s did not commit: %s", server_round, node, reply.error.reason)
                continue
            self._metrics[node] = dict(reply.content.metric_records)
            content = RecordDict({"arrays": arrays_of(model), PROTOCOL: again.record()})
            committed.append(Message(content, node, MessageType.TRAIN))
        return committed

    def _registered(
        self, server_round: int, messages: list[Message], registrations: list[Registration]
    ) -> set[int]:
        """Nodes whose trainer the hub has admitted, with the dataset that it enrolled with."""
        assert self._enrolments is not None
        found = set()
        for node in (m.metadata.dst_node_id for m in messages):
            registration = self._enrolments.of(node)
            if registration is None or registration not in registrations:
                continue
            state = self.hub.trainer(self.model_id, registration.trainer)
            if not state.admitted:
                reason = "the hub has not admitted it"
            elif state.dataset_root != to_bytes(registration.dataset_root):
                reason = "the hub has another dataset root of it"
            else:
                found.add(node)
                continue
            self._refuse(Refused(server_round, node, registration.trainer, reason))
        return found

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Recommit to every update, have those that do not open left out, and finalize the hub's round.

        Raises :class:`RetryableError` if the hub does not take the average in time.
        """
        number, base, before = self._number, self._base, len(self.refused)
        self._base = None
        if base is None:
            return None, None
        by_trainer, failed = self._take_in(server_round, replies)
        self._await_end(number)
        arrivals = self._averaging.collect(number)
        for trainer, problem in arrivals.problems.items():
            reply = by_trainer.get(trainer)
            node = reply.metadata.src_node_id if reply else 0
            reason = problem.message
            if isinstance(problem, CommitmentMismatch):
                # Shorter than the points that differ: it is kept on the chain.
                reason = f"the update of {trainer} is not the one it committed to on the hub"
            self._leave_out(number, trainer, reason)
            self._refuse(Refused(server_round, node, trainer, reason))
        arrivals = self._averaging.collect(number)
        good = [s for s in arrivals.included if s.trainer in by_trainer]
        counts: dict[str, Number] = {ACCEPTED: len(good), REFUSED: len(self.refused) - before}
        if not good or self.hub.phase(self.model_id, number) is not Phase.FINALIZE:
            logger.warning("round %s: the hub cannot finalize its round %s", server_round, number)
            return None, MetricRecord(counts)
        average = self._averaging.average(number, arrivals)
        proof = self._averaging.prove(number, average)
        model = base.plus(average.delta)
        # Kept first: once the hub has moved, nobody could train on without it.
        path = self.folder / "models" / f"round{number}.json"
        PublishedModel.of(self.training, model, self.model_id, number).save(path)
        found, receipt = self._averaging.finalize(number, proof)
        logger.info("round %s: finalized, model hash 0x%s, %s gas", server_round, found.hex(), receipt.gas)
        accepted = [(arrivals.updates[s.trainer], s.steps) for s in good]
        shown = [by_trainer[s.trainer] for s in good]
        _, metrics = self._by_inner(server_round, base, shown, accepted, failed)
        return arrays_of(model), MetricRecord({**(metrics or {}), **counts})

    def _take_in(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[dict[str, Message], list[Message]]:
        """Sort replies by trainer; keep their updates, or why there is none."""
        assert self._enrolments is not None
        by_trainer: dict[str, Message] = {}
        failed = []
        for reply in replies:
            node = reply.metadata.src_node_id
            if reply.has_error():
                failed.append(reply)
                logger.warning(
                    "round %s: the client of node %s failed: %s", server_round, node, reply.error.reason
                )
                continue
            registration = self._enrolments.of(node)
            if registration is None or registration.trainer in by_trainer:
                self._refuse(
                    Refused(server_round, node, None, "the node speaks for no trainer of this round")
                )
                continue
            by_trainer[registration.trainer] = reply
            self._received.vectors[registration.trainer] = self._update(reply)
            for name, record in self._metrics.get(node, {}).items():
                reply.content[name] = record
        return by_trainer, failed

    def _update(self, reply: Message) -> IntArray | InvalidProof:
        length = self.training.manifest.slot("model").length
        try:
            return read_vector(reply.content.array_records.get(UPDATE, ArrayRecord()), length)
        except InvalidProof as e:
            return e

    def _await_end(self, number: int) -> None:
        """Wait until nobody may submit any more: everyone has, or the time is over."""
        deadline = time.monotonic() + self.wait_s
        while self.hub.phase(self.model_id, number) in (Phase.COMMIT, Phase.SUBMIT):
            if time.monotonic() >= deadline:
                raise RetryableError(f"round {number} of the hub still takes submissions")
            time.sleep(_POLL_S)

    def _leave_out(self, number: int, trainer: str, reason: str) -> None:
        needed = self.hub.model(self.model_id).config.guardian_threshold
        if len(self.guardians) < needed:
            raise InvalidProof(
                f"the update of {trainer} cannot be relied on ({reason}), and is part of round {number}",
                hint=f"{needed} guardians have to leave it out",
            )
        chosen = self.guardians[:needed]
        signatures = self.hub.sign_leave_out(self.model_id, number, trainer, reason, chosen)
        self.hub.leave_out(self.model_id, number, trainer, reason, signatures)

    def _call(self, phase: Any, model_id: bytes, **rest: Any) -> Call:  # noqa: ANN401 - as in the base
        return super()._call(phase, model_id, hub=self.hub.address, **rest)
