"""The golden table of circuit costs: exact numbers, in git, refreshed with ``fedproof circuits costs``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import onnx
from pydantic import Field, ValidationError

from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.shards import shard_program
from fedproof.circuits.spec import AnySpec, AverageSpec, Strict, available, load_spec
from fedproof.commitments import RESERVED_ROWS
from fedproof.errors import CallerError
from fedproof.files import write_whole
from fedproof.lowering import Program
from fedproof.lowering.circuit.counting import count_cells
from fedproof.project import Project


class GoldenCosts(Strict):
    """What is exact about the costs of one circuit, cut or not: the same on every machine.

    Of an average in shards, all but ``parameters`` is of one shard.
    """

    name: str
    parameters: int = Field(description="elements of the model")
    logrows: int = Field(description="log2 of the rows there are")
    columns: int = Field(description="ezkl's num_inner_cols")
    rows: int = Field(description="rows that are used")
    cells: int = Field(description="assignments")
    lookups: int = Field(description="range checks of one table width; the public instance")
    equations: int = Field(description="elementwise equations, proven as one sum")
    functions: int = Field(description="values looked up in tables of functions")
    commitments: int = Field(description="points at the start of a proof, the challenge's included")
    shards: int = Field(default=1, description="proofs of the circuit that an average takes")

    @classmethod
    def of(cls, name: str, spec: AnySpec, graph: onnx.ModelProto, program: Program) -> GoldenCosts:
        """Count what the circuit of a program costs. Nothing is compiled."""
        plonk = spec.plonk
        if isinstance(spec, AverageSpec) and plonk.shards:
            program = shard_program(name, spec, program, 2**plonk.logrows - RESERVED_ROWS)
        cells = count_cells(program, plonk.columns)
        sizes = [program.slot_size(s) for s in program.slots] + [program.late_size] * program.challenged
        model = next(i for i in graph.graph.input if i.name == "model")
        nodes = program.nodes
        return cls(
            name=name,
            parameters=model.type.tensor_type.shape.dim[0].dim_value,
            logrows=plonk.logrows,
            columns=plonk.columns,
            rows=-(-cells // plonk.columns),
            cells=cells,
            lookups=program.lookups,
            equations=sum(nodes[e.terms[0][1]].size for e in program.equations),
            functions=sum(nodes[f.x].size for f in program.functions),
            commitments=sum(n // (2**plonk.logrows - RESERVED_ROWS) + 1 for n in sizes),
            shards=plonk.shards or 1,
        )


COLUMNS = tuple(GoldenCosts.model_fields)


def measure_costs(project: Project, progress: Callable[[str], None] = lambda _: None) -> list[GoldenCosts]:
    """Costs of every circuit of a project, sorted by name. Cells are counted, nothing is compiled.

    ``progress`` is called with each name as it starts. Raises what exporting and lowering raise.
    """
    measured = []
    for name in available(project.circuits):
        progress(name)
        spec = load_spec(name, project.circuits)
        graph = float_graph(spec, project.root, project.circuits)
        measured.append(GoldenCosts.of(name, spec, graph, build_program(spec, project.circuits, graph)))
    return measured


def write_costs(
    project: Project, path: Path, progress: Callable[[str], None] = lambda _: None
) -> list[GoldenCosts]:
    """Measure every circuit and write the table to ``path``; return its rows."""
    measured = measure_costs(project, progress)
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
