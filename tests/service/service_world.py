"""A hub in memory whose rounds stand at their end, updates in memory, and aggregators that meet there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import generate_latest
from tiny_circuits import PARAMETERS, NotingProver

from fedproof.chain.digests import model_hash
from fedproof.chain.hub import HubClient, Phase, RoundState, Submission
from fedproof.chain.reverts import ContractRejected
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment, add, read_commitments
from fedproof.lowering.ir import IntArray
from fedproof.rounds import Aggregator, ModelVector
from fedproof.rounds.aggregator import fold_weights
from fedproof.rounds.averaging import Averaging
from fedproof.rounds.updates import UpdateMissing
from fedproof.service.aggregator import AggregatorService, Pace
from fedproof.service.models import Models
from fedproof.service.outcomes import Journal
from fedproof.service.settling import Settler
from fedproof.service.stopping import Stop

MODEL_ID = bytes(range(32))
ALICE, BOB, CAROL = ("0x" + letter * 40 for letter in "abc")
FIRST, SECOND = "0x" + "1" * 40, "0x" + "2" * 40


@dataclass
class OneRound:
    number: int
    parent: int
    base: Commitment
    submissions: list[Submission] = field(default_factory=list)
    phase: Phase = Phase.FINALIZE
    finalizer: str = "0x" + "0" * 40
    result: Commitment = ()
    model_hash: bytes = bytes(32)


@dataclass
class Ledger:
    """What all clients of the hub see. ``before`` runs at the start of a call of that name."""

    average: Circuit
    genesis: Commitment
    rounds: list[OneRound] = field(default_factory=list)
    current: int = 0
    block: int = 1
    confirmations: int = 1
    sent: list[str] = field(default_factory=list)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    reverted_gas: int = 0

    def model_at(self, number: int) -> Commitment:
        return self.genesis if number == 0 else self.rounds[number - 1].result


class FakeHub:
    """The part of HubClient that an aggregator uses."""

    def __init__(self, ledger: Ledger, address: str) -> None:
        self.ledger = ledger
        self.client = SimpleNamespace(
            account=SimpleNamespace(address=address),
            height=lambda: self.ledger.block,
            chain=SimpleNamespace(confirmations=ledger.confirmations),
        )
        self.address = address

    def _called(self, name: str) -> None:
        hook = self.ledger.before.get(name)
        if hook is not None:
            hook()

    def latest_round(self, model_id: bytes) -> int:
        self._called("latest_round")
        return len(self.ledger.rounds)

    def phase(self, model_id: bytes, number: int) -> Phase:
        self._called("phase")
        return self.ledger.rounds[number - 1].phase

    def round(self, model_id: bytes, number: int) -> RoundState:
        self._called("round")
        r = self.ledger.rounds[number - 1]
        return RoundState(
            number=number, phase=r.phase, parent=r.parent, commit_ends_at=0, submit_ends_at=0,
            finalize_ends_at=0, committed=len(r.submissions), submitted=len(r.submissions),
            left_out=sum(s.left_out for s in r.submissions), total_steps=0, finalizer=r.finalizer,
            model_hash=r.model_hash, base=r.base, result=r.result,
        )  # fmt: skip

    def model(self, model_id: bytes) -> Any:
        config = SimpleNamespace(genesis=self.ledger.genesis, min_trainers=1)
        return SimpleNamespace(config=config, current_round=self.ledger.current)

    def submissions(self, model_id: bytes, number: int) -> list[Submission]:
        return list(self.ledger.rounds[number - 1].submissions)

    def weights(self, model_id: bytes, number: int) -> dict[str, int]:
        counted = [s for s in self.submissions(model_id, number) if not s.left_out]
        folded = fold_weights([s.samples for s in counted], 8)
        return dict(zip((s.trainer for s in counted), folded, strict=True))

    def finalize(self, model_id: bytes, number: int, proof: bytes, vka: object) -> tuple[bytes, Any]:
        self._called("finalize")
        r, committer = self.ledger.rounds[number - 1], self.ledger.average.committer
        self.ledger.sent.append(self.address)
        if r.phase is not Phase.FINALIZE:
            rejected = ContractRejected("WrongPhase", {})
            rejected.gas = self.ledger.reverted_gas
            raise rejected
        delta = committer.to_pure(read_commitments(proof, [1, 1])[1])
        r.result = add(self.ledger.model_at(r.parent), delta)
        r.model_hash = model_hash(model_id, number, r.result)
        r.phase, r.finalizer, self.ledger.current = Phase.FINALIZED, self.address, number
        self._called("finalized")
        return r.model_hash, SimpleNamespace(tx="0xabc", gas=700_000)


@dataclass
class UpdatesInMemory:
    """What was sent: vectors, or errors to raise. ``asked`` lists every fetch."""

    sent: dict[tuple[int, str], IntArray | Exception] = field(default_factory=dict)
    asked: list[tuple[int, str]] = field(default_factory=list)

    def fetch(self, round_number: int, trainer: str) -> IntArray:
        self.asked.append((round_number, trainer))
        found = self.sent.get((round_number, trainer))
        if found is None:
            raise UpdateMissing(trainer)
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Arena:
    """One model, its hub, and what its trainers sent."""

    ledger: Ledger
    training: Circuit
    genesis: ModelVector
    folder: Path
    updates: UpdatesInMemory = field(default_factory=UpdatesInMemory)
    provers: dict[str, NotingProver] = field(default_factory=dict)
    sleeps: list[float] = field(default_factory=list)

    def open(self, *trainers: str, phase: Phase = Phase.FINALIZE) -> OneRound:
        """A round that all ``trainers`` have submitted to."""
        number, parent = len(self.ledger.rounds) + 1, self.ledger.current
        r = OneRound(number, parent, self.ledger.model_at(parent), phase=phase)
        generator = np.random.default_rng(number)
        for trainer in trainers or (ALICE, BOB):
            update = generator.integers(-40, 40, len(self.genesis.vector), dtype=np.int64)
            commitment = self.training.committer.pure(update)
            r.submissions.append(Submission(trainer, 1, False, 2, commitment))
            self.updates.sent[number, trainer] = update
        self.ledger.rounds.append(r)
        return r

    def aggregator(
        self,
        address: str = FIRST,
        folder: str | None = None,
        *,
        pace: Pace | None = None,
        standby_s: float = 0,
    ) -> AggregatorService:
        """An aggregator that knows nothing but its folder and the hub. It does not sleep."""
        own = self.folder / (folder or address)
        average = self.ledger.average
        prover = self.provers.setdefault(address, NotingProver(average))
        hub = cast(HubClient, FakeHub(self.ledger, address))
        averaging = Averaging(hub, MODEL_ID, Aggregator(average, cast(Any, prover)), self.updates, own)
        models = Models(averaging, self.training, own / "models")
        models.keep(self.genesis, 0)
        stop = Stop()
        stop.sleep = self.sleeps.append  # type: ignore[method-assign]
        settler = Settler(averaging, models, stop, standby_s=standby_s)
        return AggregatorService(
            settler, Journal(own / "outcomes.jsonl"), stop, pace or Pace(poll_s=1, most_s=8, patience_s=0)
        )

    @staticmethod
    def text(service: AggregatorService) -> str:
        """Its metrics, as Prometheus reads them."""
        return generate_latest(service.gauges.registry).decode()

    def leave_out(self, number: int, trainer: str) -> None:
        """The guardians leave a trainer out."""
        r = self.ledger.rounds[number - 1]
        r.submissions = [
            Submission(s.trainer, s.steps, s.left_out or s.trainer == trainer, s.samples, s.update)
            for s in r.submissions
        ]

    def expected(self, number: int) -> IntArray:
        """The model that a round of two equal trainers produces, in exact arithmetic."""
        vectors = [self.updates.sent[number, s.trainer] for s in self.ledger.rounds[number - 1].submissions]
        total = 128 * np.sum(vectors, axis=0)
        base = self.genesis.vector if number == 1 else self.expected(number - 1)
        return cast(IntArray, base + (total + 128 >> 8))


@pytest.fixture
def arena(circuits: tuple[Circuit, Circuit], tmp_path: Path) -> Arena:
    training, average = circuits
    genesis = ModelVector.from_floats(training, np.linspace(-0.5, 0.5, PARAMETERS))
    ledger = Ledger(average, training.committer.pure(genesis.vector))
    return Arena(ledger, training, genesis, tmp_path)
