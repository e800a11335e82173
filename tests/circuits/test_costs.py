"""The golden table: what it holds, how it is read, and that circuits/ still costs what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedproof.circuits import layout, load_spec
from fedproof.circuits.costs import COLUMNS, GoldenCosts, differences, measure_costs, read_costs, write_costs
from fedproof.circuits.program import build_program, float_graph
from fedproof.errors import CallerError
from fedproof.lowering import circuit_graph
from fedproof.project import Project
from fedproof.provers.cpu import run_worker

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "circuits" / "costs.csv"
HEADER = ",".join(COLUMNS)
ROW = "a,50,9,2,100,200,30,7,0,4,1"


@pytest.mark.reference
def test_a_table_is_read(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text(f"{HEADER}\n{ROW}\n")
    (row,) = read_costs(path)
    assert (row.name, row.logrows, row.rows, row.commitments) == ("a", 9, 100, 4)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "costs.csv is not in .*refresh it with"),
        ("name,cells\na,1\n", r"has the columns \['name', 'cells'\]"),
        (f"{HEADER}\n{ROW}\nb,50,9,2,many,200,30,7,0,4,1\n", "line 3: rows: Input should be a valid integer"),
        (f"{HEADER}\na,9\n", "line 2: logrows"),
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
            name=name, parameters=1, logrows=9, columns=1, rows=1, cells=cells,
            lookups=1, equations=1, functions=0, commitments=1,
        )  # fmt: skip

    before, now = [row("a", 1), row("b", 1)], [row("b", 2), row("c", 1)]
    assert differences(before, now) == [
        "a: not measured, there is no such circuit",
        "c: not in the table",
        "b: cells was 1, is 2",
    ]
    assert differences(now, now) == []


@pytest.mark.reference
def test_a_table_written_is_the_table_read(project, tmp_path):
    path = tmp_path / "costs.csv"
    written = write_costs(project, path)
    assert read_costs(path) == written == measure_costs(project)
    assert [row.name for row in written] == ["tiny", "tiny-average"]
    assert path.read_text().splitlines()[0] == HEADER


@pytest.mark.witness
def test_every_circuit_costs_what_the_table_says():
    """Refresh with: fedproof circuits costs."""
    assert differences(read_costs(GOLDEN), measure_costs(Project.find(ROOT))) == []


@pytest.mark.witness
@pytest.mark.parametrize("name", ["digits-linear", "digits-softmax", "digits-mlp", "digits-mlp-average"])
def test_ezkl_counts_the_same_cells(name, tmp_path):
    """Without keys: up to a sum that ezkl finds to be equal to another, or a cell of its own."""
    golden = {row.name: row for row in read_costs(GOLDEN)}[name]
    spec = load_spec(name, ROOT / "circuits")
    program = build_program(spec, ROOT / "circuits", float_graph(spec, ROOT))
    (tmp_path / "circuit.onnx").write_bytes(circuit_graph(program).SerializeToString())
    args = layout.run_args(program.table_bits, golden.logrows, golden.columns)
    settings = run_worker("costs", folder=str(tmp_path), run_args=args)["settings"]
    assert settings["total_assignments"] == pytest.approx(golden.cells, rel=0.01)
    assert settings["num_rows"] <= 2**golden.logrows
