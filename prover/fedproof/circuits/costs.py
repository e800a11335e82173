"""The golden table of circuit costs: exact numbers, in git, refreshed with ``fedproof circuits costs``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from fedproof.circuits.manifest import Costs
from fedproof.circuits.spec import Strict, available
from fedproof.circuits.store import CircuitStore
from fedproof.errors import CallerError
from fedproof.files import write_whole


class GoldenCosts(Strict):
    """What is exact about the costs of one circuit: the same on every machine."""

    name: str
    logrows: int = Field(description="log2 of the rows there are")
    rows: int = Field(description="rows that are used")
    cells: int = Field(description="assignments")
    columns: int = Field(description="ezkl's num_inner_cols")
    lookups: int = Field(description="range checks of one table width; the public instance")
    commitments: int = Field(description="points at the start of a proof")
    proof_bytes: int

    @classmethod
    def of(cls, name: str, costs: Costs) -> GoldenCosts:
        """Return the exact part of a manifest's costs."""
        exact = set(cls.model_fields) - {"name"}
        return cls(name=name, **costs.model_dump(include=exact))


COLUMNS = tuple(GoldenCosts.model_fields)


def measure_costs(store: CircuitStore, progress: Callable[[str], None] = lambda _: None) -> list[GoldenCosts]:
    """Costs of every circuit of the store's project, sorted by name; compiles what is not compiled yet.

    ``progress`` is called with each name as it starts. Raises what :meth:`CircuitStore.get` raises.
    """
    measured = []
    for name in available(store.project.circuits):
        progress(name)
        measured.append(GoldenCosts.of(name, store.get(name).manifest.costs))
    return measured


def write_costs(
    store: CircuitStore, path: Path, progress: Callable[[str], None] = lambda _: None
) -> list[GoldenCosts]:
    """Measure every circuit and write the table to ``path``; return its rows."""
    measured = measure_costs(store, progress)
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(row.model_dump() for row in measured)
    write_whole(path, text.getvalue())
    return measured


def read_costs(path: Path) -> list[GoldenCosts]:
    """Read a table. Raises :class:`CallerError` naming the line where it is not one."""
    refresh = "refresh it with: fedproof circuits costs"
    if not path.is_file():
        raise CallerError(f"{path.name} is not in {path.parent}", hint=refresh)
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise CallerError(
                f"{path.name} has the columns {table.fieldnames}, not {list(COLUMNS)}", hint=refresh
            )
        rows = []
        for row in table:
            try:
                rows.append(GoldenCosts.model_validate(row))
            except ValidationError as e:
                problem = e.errors()[0]
                raise CallerError(
                    f"{path.name}, line {table.line_num}: {problem['loc'][0]}: {problem['msg']}", hint=refresh
                ) from e
    return rows


def differences(golden: list[GoldenCosts], measured: list[GoldenCosts]) -> list[str]:
    """Return one line for every number that differs, and for every circuit that is in one table only."""
    left, right = ({row.name: row for row in rows} for rows in (golden, measured))
    lines = [f"{name}: not measured, there is no such circuit" for name in sorted(left.keys() - right.keys())]
    lines += [f"{name}: not in the table" for name in sorted(right.keys() - left.keys())]
    for name in sorted(left.keys() & right.keys()):
        before, now = left[name].model_dump(), right[name].model_dump()
        lines += [f"{name}: {c} was {before[c]}, is {now[c]}" for c in COLUMNS if before[c] != now[c]]
    return lines
