"""The rows of a run, and the one document they end up in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from benchmarks.options import Options
from fedproof.files import write_whole
from fedproof.record import collect_host, collect_versions

FORMAT = "fedproof-bench/1"


@dataclass
class Row:
    """One thing measured, in seconds, bytes and gas; lists hold every sample. See docs/benchmarks.md."""

    suite: Literal["training-step", "aggregation"]
    name: str
    side: Literal["ours", "stock"]
    variant: str
    n_trainers: int | None = None
    logrows: int | None = None
    rows: int | None = None
    cells: int | None = None
    run_args: dict[str, Any] | None = None
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peak_bytes: dict[str, list[int]] = field(default_factory=dict)
    proving_key_bytes: int | None = None
    verifying_key_bytes: int | None = None
    proof_bytes: int | None = None
    verifier_bytes: int | None = None
    verifier_kind: Literal["plain", "reusable"] | None = None
    gas: dict[str, int] = field(default_factory=dict)
    error: dict[str, float] | None = None
    failure: dict[str, str] | None = None

    def sample(self, answer: dict[str, Any], stage: str) -> None:
        """Add what a stage answered: seconds of each part, and the peak of the process."""
        for name, value in answer.items():
            if isinstance(value, float):
                self.seconds.setdefault(name, []).append(round(value, 4))
        if "peak_bytes" in answer:
            self.peak_bytes.setdefault(stage, []).append(answer["peak_bytes"])


class Ledger:
    """All rows of one run."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.rows: list[Row] = []
        self.started = datetime.now(UTC).replace(microsecond=0)

    def open(self, row: Row) -> Row:
        """Add a row, to be filled in while it is measured."""
        self.rows.append(row)
        return row

    def document(self, project: Path) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "format": FORMAT,
            "started": self.started.isoformat(),
            "finished": datetime.now(UTC).replace(microsecond=0).isoformat(),
            "versions": collect_versions(project).model_dump(mode="json"),
            "host": collect_host().model_dump(mode="json"),
            "options": asdict(self.options),
            "rows": [asdict(row) for row in self.rows],
        }

    def write(self, path: Path, project: Path) -> None:
        """Write the report whole or not at all."""
        write_whole(path, json.dumps(self.document(project), indent=1) + "\n")
