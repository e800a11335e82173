"""What the demo shows while it runs, and its final table."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from fedproof.record import RunRecord


def progress_bars(console: Console) -> Progress:
    """Bars for the stages of a round; plain lines are printed besides, so a log file reads well too."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def round_line(record: RunRecord, index: int) -> str:
    """Return one line about a finished round."""
    r = record.rounds[index]
    proofs = [p for t in r.trainers for p in t.steps]
    same = "=" if r.model_hash == r.l1.model_hash else "DIFFERS FROM"
    return (
        f"round {r.round}: {len(proofs)} steps and 1 average proven in "
        f"{r.seconds.prove + r.seconds.aggregate:.1f} s, accuracy {r.accuracy:.3f} "
        f"(float {r.accuracy_float:.3f}), L2 hash {r.model_hash[:10]}… {same} L1"
    )


def final_table(record: RunRecord) -> Table:
    """Return the table of all rounds."""
    table = Table(title=f"{record.model}: {record.parameters} parameters, {record.trainers} trainers")
    for name in (
        "round",
        "accuracy",
        "float",
        "prove s",
        "submit gas",
        "finalize gas",
        "L1 gas",
        "model hash on L1",
    ):
        table.add_column(name, justify="left" if name.startswith("model") else "right")
    table.add_row("start", f"{record.accuracy_before:.3f}", f"{record.accuracy_float_before:.3f}", *[""] * 5)
    for r in record.rounds:
        submits = [t.submit_gas for t in r.trainers]
        table.add_row(
            str(r.round),
            f"{r.accuracy:.3f}",
            f"{r.accuracy_float:.3f}",
            f"{r.seconds.prove + r.seconds.aggregate:.1f}",
            f"{sum(submits) // len(submits):,}",
            f"{r.finalize_gas:,}",
            f"{r.l1.gas:,}",
            f"{r.l1.model_hash[:18]}… {'ok' if r.l1.model_hash == r.model_hash else 'WRONG'}",
        )
    return table
