"""Circuits that were compiled, proven and verified on a chain: what the cost model is fitted to.

``measured.csv`` is written by ``python -m benchmarks.cost_grid``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from fedproof.circuits.spec import Strict
from fedproof.errors import CallerError

MEASURED = Path(__file__).with_name("measured.csv")


class Measurement(Strict):
    """One circuit. Times in seconds, sizes in bytes."""

    kind: Literal["training", "average"]
    logrows: int
    columns: int = Field(description="ezkl's num_inner_cols")
    points: int = Field(description="commitments, the challenge's included")
    cells: int
    lookups: int
    setup_s: float
    prove_s: float = Field(description="the least of some runs, without the witness")
    prove_cpu_s: float = Field(description="processor time of a run, all cores together")
    cores: int = Field(ge=1, description="cores of the machine")
    peak_bytes: int = Field(description="of the process that made the witness and the proof")
    pk_bytes: int
    vk_bytes: int
    proof_bytes: int
    verifier_bytes: int = Field(description="runtime code of the plain verifier")
    verifier: Literal["plain", "reusable"] = Field(description="the one whose gas was measured")
    gas: int = Field(description="of a transaction that verifies, through our adapter")
    ezkl: str
    host: str


COLUMNS = tuple(Measurement.model_fields)


def read_measurements(path: Path = MEASURED) -> list[Measurement]:
    """Read a table. Raises :class:`CallerError` naming the line that is wrong."""
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        rows = []
        for row in table:
            try:
                rows.append(Measurement.model_validate(row))
            except ValidationError as e:
                problem = e.errors()[0]
                raise CallerError(
                    f"{path.name}, line {table.line_num}: {problem['loc'][0]}: {problem['msg']}",
                    hint="measure again with: python -m benchmarks.cost_grid",
                ) from e
    return rows
