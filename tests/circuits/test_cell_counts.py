"""The count of cells that needs no ezkl is ezkl's own."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from fedproof.circuits import layout
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.spec import AverageSpec, available, load_spec
from fedproof.lowering import circuit_graph
from fedproof.lowering.circuit.counting import CellCounter

pytestmark = pytest.mark.witness

ROOT = Path(__file__).resolve().parents[2]
#: ezkl lays a circuit of more rows out for too long to do it four times here.
LARGEST = 13
SMALL = [n for n in available(ROOT / "circuits") if load_spec(n, ROOT / "circuits").plonk.logrows <= LARGEST]


@pytest.mark.parametrize("name", SMALL)
def test_the_count_is_ezkls_in_any_number_of_columns(name: str, tmp_path: Path) -> None:
    import ezkl

    spec = load_spec(name, ROOT / "circuits")
    training = load_spec(spec.of, ROOT / "circuits") if isinstance(spec, AverageSpec) else spec
    program = build_program(spec, ROOT / "circuits", float_graph(training, ROOT))
    onnx.save(circuit_graph(program), str(tmp_path / "circuit.onnx"))
    counter = CellCounter(program)
    for columns in (1, 2, 3, 4):
        args = ezkl.PyRunArgs()
        for key, value in layout.run_args(program.table_bits, 20, columns).items():
            setattr(args, key, value)
        ezkl.gen_settings(str(tmp_path / "circuit.onnx"), str(tmp_path / "settings.json"), py_run_args=args)
        made = json.loads((tmp_path / "settings.json").read_text())
        found = counter.total(columns)
        # ezkl drops operations that are equal, and starts some operations on a new row.
        assert found == pytest.approx(made["total_assignments"], rel=0.01)
        assert found / columns == pytest.approx(made["num_rows"], rel=0.01)
