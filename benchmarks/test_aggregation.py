"""The average of N updates: our circuit, whose size does not depend on N, and the plain mean in a circuit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.ledger import Ledger, Row
from benchmarks.onchain import Chain, measure_gas
from benchmarks.options import Options
from benchmarks.ours import Ours, Work
from benchmarks.stock import Stock
from benchmarks.subject import Measure, Subject
from benchmarks.whole_round import Submitted, submit_round
from benchmarks.workloads import AveragingWork, averaging_work, mean_graph, our_average
from fedproof.circuits.store import CircuitStore
from fedproof.project import Project
from fedproof.rounds import Aggregator
from fedproof.srs import SrsStore

TRAINING = "digits-linear"
AVERAGE = f"{TRAINING}-average"
CASES = [(trainers, variant) for trainers in (4, 16, 64) for variant in ("fedproof", "calibrated")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def subject(
    request: pytest.FixtureRequest,
    project: Project,
    store: CircuitStore,
    ledger: Ledger,
    options: Options,
    work_folder: Path,
) -> Subject:
    count, variant = request.param
    work = averaging_work(store.get(TRAINING), project, count)
    folder = work_folder / f"{count}-{variant}"
    if variant == "fedproof":
        return _Average(
            ledger.open(Row("aggregation", AVERAGE, "ours", variant, count)), options, folder, store, work
        )
    return Stock(
        ledger.open(Row("aggregation", AVERAGE, "stock", variant, count)),
        options,
        folder,
        graph=mean_graph(*work.floats.shape),
        inputs=[work.floats],
        expected=work.floats.mean(0),
        srs=SrsStore(project.srs),
    )


class _Average(Ours):
    """Our aggregation, with what the aggregator and the hub do around the proof."""

    def __init__(
        self, row: Row, options: Options, folder: Path, store: CircuitStore, work: AveragingWork
    ) -> None:
        circuit = store.get(AVERAGE)
        super().__init__(row, options, folder, circuit=circuit, prepare_work=self._average)
        self.updates = work
        self.aggregator = Aggregator(circuit)
        self.round: Submitted | None = None

    def _average(self, row: Row) -> Work:
        started = time.perf_counter()
        made = our_average(self.circuit, self.updates)
        row.sample({"average": time.perf_counter() - started}, "average")
        return made

    def receive(self) -> None:
        """Recommit to every update, as the aggregator does before it relies on them."""
        assert self.round is not None
        started = time.perf_counter()
        for update, commitment in zip(self.updates.updates, self.round.updates, strict=True):
            self.aggregator.receive(update, commitment)
        self.row.sample({"receive": time.perf_counter() - started}, "receive")

    def finalize(self) -> None:
        """Finalize the round on the hub with the real proof, accepted only if it is of these updates."""
        assert self.round is not None
        found = self.round
        _, receipt = found.hub.finalize(found.model_id, found.number, self.raw_proof, list(self.vka))
        self.row.gas["finalize"] = receipt.gas

    vka: tuple[bytes, ...] = ()


def test_setup(subject: Subject, measure: Measure) -> None:
    measure(subject, "setup", subject.setup, None if subject.options.full else 1)


def test_receive(subject: Subject, chain: Chain, measure: Measure) -> None:
    if not isinstance(subject, _Average):
        pytest.skip("a step of ours only")
    subject.round = submit_round(chain, subject.circuit, subject.updates)
    subject.receive()  # the first one reads the SRS
    subject.row.seconds["receive_cold"] = subject.row.seconds.pop("receive")
    measure(subject, "receive", subject.receive)


def test_prove(subject: Subject, measure: Measure) -> None:
    measure(subject, "prove", subject.prove)


def test_verify(subject: Subject, measure: Measure) -> None:
    measure(subject, "verify", subject.verify, subject.options.rounds)


def test_gas(subject: Subject, chain: Chain, measure: Measure) -> None:
    measure(subject, "gas", lambda: measure_gas(subject, chain), 1)


def test_finalize(subject: Subject, chain: Chain, measure: Measure) -> None:
    if not isinstance(subject, _Average) or subject.round is None:
        pytest.skip("a step of ours only")
    subject.vka = chain.adapter(subject.circuit).vka
    if not subject.proof.is_file():
        subject.prove()
    measure(subject, "finalize", subject.finalize, 1)
