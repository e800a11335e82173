"""The golden table: what it holds, how it is read, and that circuits/ still costs what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedproof.circuits import available, layout, load_spec
from fedproof.circuits.costs import COLUMNS, GoldenCosts, differences, measure_costs, read_costs, write_costs
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.store import CircuitStore
from fedproof.errors import CallerError
from fedproof.lowering import circuit_graph
from fedproof.project import Project
from fedproof.provers.cpu import run_worker

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "circuits" / "costs.csv"
HEADER = ",".join(COLUMNS)
ROW = "a,9,100,200,2,30,4,5000"


@pytest.mark.reference
def test_a_table_is_read(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text(f"{HEADER}\n{ROW}\n")
    (row,) = read_costs(path)
    assert (row.name, row.logrows, row.proof_bytes) == ("a", 9, 5000)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "costs.csv is not in .*refresh it with"),
        ("name,cells\na,1\n", r"has the columns \['name', 'cells'\]"),
        (f"{HEADER}\n{ROW}\nb,9,many,200,2,30,4,5000\n", "line 3: rows: Input should be a valid integer"),
        (f"{HEADER}\na,9\n", "line 2: rows"),
        (f"{HEADER}\n{ROW},7\n", "line 2"),
        ("", "has the columns None"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, text, message):
    path = tmp_path / "costs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CallerError, match=message):
        read_costs(path)


@pytest.mark.reference
def test_differences_name_circuit_column_and_both_numbers():
    def row(name, cells):
        return GoldenCosts(
            name=name, logrows=9, rows=1, cells=cells, columns=1, lookups=1, commitments=1, proof_bytes=1
        )

    before, now = [row("a", 1), row("b", 1)], [row("b", 2), row("c", 1)]
    assert differences(before, now) == [
        "a: not measured, there is no such circuit",
        "c: not in the table",
        "b: cells was 1, is 2",
    ]
    assert differences(now, now) == []


@pytest.mark.prove
def test_a_table_written_is_the_table_read(compiled, tmp_path):
    path = tmp_path / "costs.csv"
    written = write_costs(compiled, path)
    assert read_costs(path) == written == measure_costs(compiled)
    assert [row.name for row in written] == ["tiny", "tiny-average"]
    assert path.read_text().splitlines()[0] == HEADER


@pytest.mark.witness
@pytest.mark.parametrize("name", available(ROOT / "circuits"))
def test_rows_cells_and_lookups_are_golden(name, tmp_path):
    """Without keys: what the lowering and the layout make of every declaration in circuits/."""
    golden = {row.name: row for row in read_costs(GOLDEN)}[name]
    spec = load_spec(name, ROOT / "circuits")
    step = spec if spec.kind == "training" else load_spec(spec.of, ROOT / "circuits")
    program = build_program(spec, ROOT / "circuits", float_graph(step, ROOT))
    (tmp_path / "circuit.onnx").write_bytes(circuit_graph(program).SerializeToString())
    plonk = spec.plonk
    args = layout.run_args(program.table_bits, plonk.logrows, plonk.columns)
    settings = run_worker("costs", folder=str(tmp_path), run_args=args)["settings"]
    assert (settings["num_rows"], settings["total_assignments"]) == (golden.rows, golden.cells)
    assert (program.lookups, plonk.logrows, plonk.columns) == (golden.lookups, golden.logrows, golden.columns)


@pytest.mark.prove
def test_every_circuit_costs_what_the_table_says():
    """Refresh with: fedproof circuits costs."""
    assert differences(read_costs(GOLDEN), measure_costs(CircuitStore(Project.find(ROOT)))) == []
