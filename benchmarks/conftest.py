"""What the suites share, and the report at the end of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console

from benchmarks.isolated import StageFailed
from benchmarks.ledger import Ledger
from benchmarks.onchain import Chain
from benchmarks.options import Options
from benchmarks.subject import Measure, Subject
from benchmarks.table import ratio_table
from fedproof.circuits.store import CircuitStore
from fedproof.project import Project

_LEDGER: pytest.StashKey[Ledger] = pytest.StashKey()
REPORT, REPORT_WIDTH = "report.json", 132


@pytest.fixture(scope="session")
def project() -> Project:
    return Project.find(Path(__file__).parent)


@pytest.fixture(scope="session")
def store(project: Project) -> CircuitStore:
    return CircuitStore(project)


@pytest.fixture(scope="session")
def options() -> Options:
    return Options.read()


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest, options: Options) -> Ledger:
    request.config.stash[_LEDGER] = found = Ledger(options)
    return found


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    started = Chain(tmp_path_factory.mktemp("devnet"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the keys of one module's subjects, which can be large: gone when they are done with."""
    folder = tmp_path_factory.mktemp("subjects")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def noted(subject: Subject) -> Iterator[None]:
    """Make a failed stage a row of the report. The other side may fail, ours may not."""
    if subject.row.failure is not None:
        pytest.skip("failed before: {stage}: {reason}".format(**subject.row.failure))
    try:
        yield
    except StageFailed as failed:
        subject.row.failure = {"stage": failed.stage, "reason": failed.reason}
        if subject.row.side == "ours":
            raise
        pytest.skip(f"noted: {failed}")


@pytest.fixture
def measure(benchmark: BenchmarkFixture) -> Measure:
    """Run one stage of a subject ``rounds`` times (default: what its size allows) under pytest-benchmark.

    pytest-benchmark's own times include starting the worker process; the samples of the call alone are in
    ``extra_info`` and in the report.
    """

    def run(subject: Subject, stage: str, call: Callable[[], None], rounds: int | None = None) -> None:
        row = subject.row
        size = "" if row.n_trainers is None else f" of {row.n_trainers}"
        benchmark.group = f"{row.suite} {row.name}{size}: {stage}"
        with noted(subject):
            subject.prepare()
            count = rounds or subject.options.rounds_at(int(row.logrows or 0))
            benchmark.pedantic(call, rounds=count, iterations=1)  # type: ignore[no-untyped-call]
        benchmark.extra_info |= {
            "side": row.side,
            "variant": row.variant,
            "logrows": row.logrows,
            "seconds": row.seconds.get(stage),
            "gas": row.gas or None,
        }

    return run


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Leave the machine's name out of what may be published."""
    machine_info.pop("node", None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the report, whatever happened, and print the ratios."""
    ledger = terminalreporter.config.stash.get(_LEDGER, None)
    if ledger is None or not ledger.rows:
        return
    project = Project.find(Path(__file__).parent)
    path = project.build / "bench" / REPORT
    ledger.write(path, project.root)
    console = Console() if Console().is_terminal else Console(width=REPORT_WIDTH)
    console.print(ratio_table(ledger.document(project.root)))
    console.print(f"  {path.relative_to(project.root) if path.is_relative_to(project.root) else path}")
