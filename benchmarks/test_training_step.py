"""One SGD step: our exact integers, and the same float graph through ezkl's own fixed point."""

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
from benchmarks.workloads import float_graph, our_training, training_work
from fedproof.circuits.store import CircuitStore
from fedproof.project import Project
from fedproof.rounds.vectors import training_spec
from fedproof.srs import SrsStore

CASES = [
    (name, variant)
    for name in ("digits-linear", "digits-mlp")
    for variant in ("fedproof", "calibrated", "defaults")
]

#: Only with BENCH_FULL=1: minutes more, for a side that "calibrated" stands for well enough.
SLOW = {("digits-mlp", "defaults")}
#: Largest error of our step against float64, as a share of its largest element.
MAX_ERROR = 0.05


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def subject(
    request: pytest.FixtureRequest,
    project: Project,
    store: CircuitStore,
    ledger: Ledger,
    options: Options,
    work_folder: Path,
) -> Subject:
    name, variant = request.param
    if request.param in SLOW and not options.full:
        pytest.skip("set BENCH_FULL=1 to run it")
    circuit = store.get(name)
    work = training_work(training_spec(circuit), project)
    folder = work_folder / f"{name}-{variant}"
    if variant == "fedproof":
        row = ledger.open(Row("training-step", name, "ours", variant))

        def prepare(row: Row) -> Work:
            started = time.perf_counter()
            made = our_training(circuit, work)
            row.sample({"prepare": time.perf_counter() - started}, "prepare")
            return made

        return Ours(row, options, folder, circuit=circuit, prepare_work=prepare)
    return Stock(
        ledger.open(Row("training-step", name, "stock", variant)),
        options,
        folder,
        graph=float_graph(circuit),
        inputs=[work.theta, work.x, work.y],
        expected=work.step,
        srs=SrsStore(project.srs),
    )


def test_setup(subject: Subject, measure: Measure) -> None:
    measure(subject, "setup", subject.setup, None if subject.options.full else 1)


def test_prove(subject: Subject, measure: Measure) -> None:
    measure(subject, "prove", subject.prove)
    error = subject.row.error
    assert error is not None
    if subject.row.side == "ours":
        assert error["max_abs"] < MAX_ERROR * error["largest"]


def test_verify(subject: Subject, measure: Measure) -> None:
    measure(subject, "verify", subject.verify, subject.options.rounds)


def test_gas(subject: Subject, chain: Chain, measure: Measure) -> None:
    measure(subject, "gas", lambda: measure_gas(subject, chain), 1)
