"""Tables from a report: ``python -m benchmarks.table [build/bench/report.json]`` prints markdown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.cells import line, number, rule, size, told

Row = dict[str, Any]
TITLES = {"training-step": "training step", "aggregation": "average"}
COLUMNS = [
    "",
    "side",
    "k",
    "cells",
    "proving key",
    "prove",
    "peak memory",
    "verify",
    "proof",
    "verifier",
    "verify gas",
    "max error",
]


def load(path: Path) -> dict[str, Any]:
    """Read a report; raises SystemExit saying what to do when there is none."""
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"there is no {path}: run 'make bench' first") from None
    except ValueError as error:
        raise SystemExit(f"{path} is not a report: {error}") from None
    return report


def markdown(report: dict[str, Any]) -> str:
    """Render every row, the ratios, and what was measured on."""
    lines = [line(COLUMNS), rule(2, len(COLUMNS) - 2)]
    lines += [line(_cells(row)) for row in report["rows"]]
    rounds = [row for row in report["rows"] if row["gas"].get("finalize")]
    if rounds:
        titles = ["trainers", "recommit to all updates", "average", "witness and prove", "finalize gas"]
        lines += ["", line(titles), rule(0, len(titles))]
        lines += [line(_round_cells(row)) for row in rounds]
    ratios = list(_ratios(report["rows"]))
    if ratios:
        titles = ["", "compared with", "prove", "proving key", "proof", "verify gas"]
        lines += ["", line([*titles[:2], *(f"{t}, stock / ours" for t in titles[2:])])]
        lines += [rule(2, 4)]
        lines += [line([r.title, r.variant, *r.values]) for r in ratios]
    return "\n".join([*lines, "", _foot(report), ""])


def ratio_table(report: dict[str, Any]) -> Table:
    """Render the ratios and the medians behind them, for a terminal."""
    table = Table(title="stock / ours: how many times ours is smaller or faster", title_justify="left")
    for title in ("", "stock variant", "prove", "key", "proof", "gas", "prove: stock", "prove: ours"):
        table.add_column(title, justify="left" if title in ("", "stock variant") else "right")
    for r in _ratios(report["rows"]):
        table.add_row(r.title, r.variant, *r.values, r.stock, r.ours)
    for row in report["rows"]:
        if row["failure"]:
            table.add_row(_title(row), row["variant"], "{stage}: {reason}".format(**row["failure"]))
    return table


@dataclass(frozen=True)
class _Ratio:
    title: str
    variant: str
    values: list[str]
    stock: str
    ours: str


def _ratios(rows: list[Row]) -> Iterator[_Ratio]:
    ours = {_key(row): row for row in rows if row["side"] == "ours"}
    for row in rows:
        mine = ours.get(_key(row))
        if row["side"] == "ours" or mine is None:
            continue
        pairs = [
            (_median(row, "prove"), _median(mine, "prove")),
            (row["proving_key_bytes"], mine["proving_key_bytes"]),
            (row["proof_bytes"], mine["proof_bytes"]),
            (row["gas"].get("verify"), mine["gas"].get("verify")),
        ]
        if row["failure"] and not any(a for a, _ in pairs):
            continue
        values = [f"{a / b:.2f}×" if a and b else "–" for a, b in pairs]
        yield _Ratio(_title(row), row["variant"], values, _spread(row, "prove"), _spread(mine, "prove"))


def _key(row: Row) -> tuple[Any, ...]:
    return row["suite"], row["name"], row["n_trainers"]


def _title(row: Row) -> str:
    name = row["name"].removesuffix("-average")
    trainers = f" of {row['n_trainers']}" if row["n_trainers"] else ""
    return f"{name}, {TITLES[row['suite']]}{trainers}"


def _cells(row: Row) -> list[str]:
    side = "ours" if row["side"] == "ours" else f"ezkl, {row['variant']}"
    failure, error = row["failure"], row["error"]
    gas = row["gas"].get("verify")
    over = " (over the limit)" if row["verifier_kind"] == "reusable" else ""
    reusable = " (reusable)" if row["verifier_kind"] == "reusable" else ""
    return [
        _title(row),
        side,
        number(row["logrows"]),
        number(row["cells"]),
        size(row["proving_key_bytes"]),
        "failed at {stage}: {reason}".format(**failure) if failure else _spread(row, "prove"),
        size(max(row["peak_bytes"].get("prove", [0])) or None),
        _spread(row, "verify"),
        number(row["proof_bytes"], " B"),
        number(row["verifier_bytes"], " B") + over,
        number(gas) + reusable,
        f"{error['max_abs']:.1e} ({error['max_abs'] / error['largest']:.2%})" if error else "–",
    ]


def _round_cells(row: Row) -> list[str]:
    both = zip(row["seconds"].get("witness", []), row["seconds"].get("prove", []), strict=True)
    return [
        str(row["n_trainers"]),
        _spread(row, "receive"),
        _spread(row, "average"),
        told([a + b for a, b in both]),
        number(row["gas"]["finalize"]),
    ]


def _median(row: Row, stage: str) -> float | None:
    samples = row["seconds"].get(stage)
    return median(samples) if samples else None


def _spread(row: Row, stage: str) -> str:
    return told(row["seconds"].get(stage, []))


def _foot(report: dict[str, Any]) -> str:
    host, versions = report["host"], report["versions"]
    return (
        f"`make bench`: {host['cpu']}, {host['cores']} cores, {host['ram_bytes'] / 2**30:.0f} GiB; "
        f"ezkl {versions['ezkl']}, torch {versions['torch']}, Python {versions['python']}, "
        f"commit {(versions['commit'] or 'unknown')[:12]}, {report['started'][:10]}. "
        "Median [least–most], n samples."
    )


if __name__ == "__main__":
    print(markdown(load(Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench/report.json"))))
