"""The page that shows a run: one HTML file with everything inside, for a browser without a network."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fedproof.files import write_whole
from fedproof.record.charts import Series, line_chart, stacked_bars
from fedproof.record.model import AggregateProof, RunRecord, StageSeconds, StepProof, Transaction

_STAGES = tuple(StageSeconds.model_fields)
_KIB = 1024


@dataclass(frozen=True)
class GasRow:
    """Transactions of one purpose on one chain, summed up."""

    chain: str
    purpose: str
    count: int
    median_gas: int
    total_gas: int


@dataclass(frozen=True)
class ProofRow:
    """The proofs of one circuit, summed up."""

    circuit: str
    count: int
    median_s: float
    slowest_s: float
    proof_bytes: int | None


def render_report(record: RunRecord) -> str:
    """Return the page for a record. It loads nothing from outside and runs no script."""
    environment = Environment(
        loader=PackageLoader("fedproof.record", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "points": _points,
        "size": _size,
        "seconds": _seconds,
        "count": _count,
    }
    return environment.get_template("report.html.j2").render(
        record=record,
        outcome=outcome(record),
        accuracy_chart=_accuracy_chart(record),
        loss_chart=_loss_chart(record),
        time_chart=_time_chart(record),
        stages=_STAGES,
        proof_rows=_proof_rows(record),
        gas_rows=_gas_rows(record.transactions),
        gas_by_chain=_gas_by_chain(record.transactions),
        facts=_facts(record),
    )


def write_report(record: RunRecord, path: Path) -> None:
    """Write the page for a record, whole or not at all.

    Raises:
        TerminalError: the file cannot be written.
    """
    write_whole(path, render_report(record))


def outcome(record: RunRecord) -> str:
    """Say in one sentence how the run ended."""
    done = len(record.rounds)
    rounds = f"{done} round{'' if done == 1 else 's'}"
    if record.error is not None:
        return f"Stopped after {rounds}"
    if not record.rounds:
        return "No round was finished"
    if not all(entry.matches for entry in record.rounds):
        wrong = ", ".join(str(entry.round) for entry in record.rounds if not entry.matches)
        return f"L1 holds another model hash than L2 in round {wrong}"
    if record.final_check is not None and not record.final_check.matches:
        return "The final weights are not the ones recorded on L1"
    return f"{rounds} proven, verified on L2 and recorded on L1"


def _accuracy_chart(record: RunRecord) -> Markup:
    integer = [record.accuracy_before, *(entry.accuracy for entry in record.rounds)]
    floating = [record.accuracy_float_before, *(entry.accuracy_float for entry in record.rounds)]
    return line_chart(
        ["before", *(str(entry.round) for entry in record.rounds)],
        [Series("proven integers", integer), Series("floating point", floating, dashed=True)],
        title="Held-out accuracy after each round",
        x_title="round",
    )


def _loss_chart(record: RunRecord) -> Markup | None:
    """Losses relative to the one before the first round; None where the record has none."""
    integer = [record.loss_before, *(entry.loss for entry in record.rounds)]
    floating = [record.loss_float_before, *(entry.loss_float for entry in record.rounds)]
    known = [[value for value in row if value is not None] for row in (integer, floating)]
    if any(len(row) <= len(record.rounds) for row in known):
        return None
    # A loss that has risen since is drawn within the frame, too.
    most = max(map(max, known)) or 1.0
    names = ("proven integers", "floating point")
    return line_chart(
        ["before", *(str(entry.round) for entry in record.rounds)],
        [
            Series(name, [v / most for v in row], dashed=i > 0)
            for i, (name, row) in enumerate(zip(names, known, strict=True))
        ],
        title="Held-out loss after each round, relative to the largest",
        x_title="round",
    )


def _time_chart(record: RunRecord) -> Markup:
    rows = [Series(stage, [getattr(entry.seconds, stage) for entry in record.rounds]) for stage in _STAGES]
    return stacked_bars(
        [f"round {entry.round}" for entry in record.rounds],
        rows,
        title="Seconds of each stage, by round",
        x_title="seconds",
    )


def _proof_rows(record: RunRecord) -> list[ProofRow]:
    proofs: dict[str, list[StepProof | AggregateProof]] = {}
    for entry in record.rounds:
        steps = [step for trainer in entry.trainers for step in trainer.steps]
        of_round: list[StepProof | AggregateProof] = [*steps, entry.aggregate]
        for proof in of_round:
            proofs.setdefault(proof.circuit, []).append(proof)
    rows = []
    for circuit, made in proofs.items():
        seconds = [proof.prove_s for proof in made]
        sizes = [proof.proof_bytes for proof in made if proof.proof_bytes is not None]
        largest = max(sizes, default=None)
        rows.append(ProofRow(circuit, len(made), median(seconds), max(seconds), largest))
    return rows


def _gas_rows(transactions: Iterable[Transaction]) -> list[GasRow]:
    groups: dict[tuple[str, str], list[int]] = {}
    for sent in transactions:
        groups.setdefault((sent.chain, sent.purpose), []).append(sent.gas)
    return [
        GasRow(chain, purpose, len(gas), round(median(gas)), sum(gas))
        for (chain, purpose), gas in groups.items()
    ]


def _gas_by_chain(transactions: Iterable[Transaction]) -> dict[str, int]:
    """Gas of the rounds alone, by chain; deployment and configuration happen once and are left out."""
    sums = {"l2": 0, "l1": 0}
    for sent in transactions:
        if sent.round is not None:
            sums[sent.chain] += sent.gas
    return sums


def _facts(record: RunRecord) -> dict[str, str]:
    host, versions = record.host, record.versions
    machine = {
        "Processor": f"{host.cpu}, {host.cores} core{'' if host.cores == 1 else 's'}",
        "Memory": _size(host.ram_bytes),
        "System": f"{host.system} ({host.machine})",
    }
    return machine | {name: value or "–" for name, value in versions.model_dump().items()}


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} s"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _size(value: int | None) -> str:
    if value is None:
        return "–"
    size: float = value
    for unit in ("B", "KiB", "MiB"):
        if size < _KIB:
            return f"{value:,} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KIB
    return f"{size:.1f} GiB"


def main(arguments: list[str] | None = None) -> None:
    """``python -m fedproof.record.report run.json report.html``."""
    parser: Any = argparse.ArgumentParser(description="Write the HTML page of a run record.")
    parser.add_argument("record", type=Path)
    parser.add_argument("page", type=Path)
    chosen = parser.parse_args(arguments)
    write_report(RunRecord.read(chosen.record), chosen.page)


if __name__ == "__main__":
    main()
