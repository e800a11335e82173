"""Fitting a step into memory: as few segments as do, of as many rows as declared where that is possible."""

from __future__ import annotations

from pathlib import Path

import pytest
from segmented_project import segmented_project
from typer.testing import CliRunner

from fedproof.circuits.cost_model import Prediction, Size
from fedproof.circuits.fitting import MARGIN, fit, fit_declaration, parse_bytes
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.spec import TrainingSpec, load_spec
from fedproof.circuits.store import CircuitStore
from fedproof.cli.commands.circuits import app
from fedproof.errors import CallerError
from fedproof.lowering import Program
from fedproof.project import Project

pytestmark = pytest.mark.reference

AVERAGE = 'kind = "average"\nof = "whole"\ntable = 7\n\n[plonk]\nlogrows = 9\n'


class BytesOfCells:
    """100 bytes for each cell there is room for, with the margin; a second for each that is used."""

    def predict(self, size: Size) -> Prediction:
        return Prediction(size.cells, size.cells, 100 / MARGIN * size.rows * size.columns, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return segmented_project(tmp_path_factory.mktemp("fitting"))


@pytest.fixture(scope="module")
def declared(project: Project) -> tuple[TrainingSpec, Program]:
    spec = load_spec("whole", project.circuits)
    assert isinstance(spec, TrainingSpec)
    return spec, build_program(spec, project.circuits, float_graph(spec, project.root))


def layout(declared: tuple[TrainingSpec, Program], memory: int) -> tuple[int, int, int]:
    found = fit(*declared, memory, BytesOfCells())  # type: ignore[arg-type]
    plonk = found.spec.plonk
    assert found.peak_bytes == pytest.approx(100 * 2**plonk.logrows * plonk.columns)
    assert found.peak_bytes <= memory * 1.001
    return plonk.logrows, plonk.columns, plonk.segments


def test_less_memory_more_segments(declared: tuple[TrainingSpec, Program]):
    assert layout(declared, 10**9)[2] == 1
    layouts = [layout(declared, 101 * 2**9 * columns) for columns in (4, 3, 2, 1)]
    counts = [count for _, _, count in layouts]
    assert counts == sorted(counts)
    assert counts[-1] > 1
    # the declared rows are kept as long as they fit, and halved where they alone take too much
    assert {k for k, _, _ in layouts} == {9}
    assert layout(declared, 99 * 2**9)[0] == 8


def test_what_cannot_fit_is_told(declared: tuple[TrainingSpec, Program]):
    with pytest.raises(CallerError, match=r"table needs 2\^8 rows") as told:
        layout(declared, 99 * 2**8)
    assert "more memory" in (told.value.hint or "")


def test_the_declaration_is_written_and_averages_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fedproof.circuits.fitting.CostModel", BytesOfCells)
    project = segmented_project(tmp_path)
    (project.circuits / "whole-average.toml").write_text(AVERAGE)
    fitted, written = fit_declaration("whole", project, 101 * 2**9)
    assert written == ["whole", "whole-average"]
    # The average has the same memory: one column, and so a proof for each digit.
    plonk = load_spec("whole-average", project.circuits).plonk
    assert (plonk.logrows, plonk.columns) == (9, 1)
    assert load_spec("whole", project.circuits) == fitted.spec
    assert (fitted.spec.plonk.logrows, fitted.spec.plonk.columns) == (9, 1)
    assert fit_declaration("whole", project, 101 * 2**9) == (fitted, [])
    _, written = fit_declaration("whole", project, 101 * 2**8)
    assert written == ["whole", "whole-average"]
    assert load_spec("whole-average", project.circuits).plonk.logrows == 8
    with pytest.raises(CallerError, match="cannot be cut"):
        fit_declaration("whole-average", project, 10**9)


def test_the_command_writes_what_fits_before_it_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def compiled(store: CircuitStore, name: str, **_: object) -> None:
        raise CallerError(f"compiled {load_spec(name, store.project.circuits).plonk.segments} segments")

    monkeypatch.setattr("fedproof.circuits.fitting.CostModel", BytesOfCells)
    monkeypatch.setattr(CircuitStore, "get", compiled)
    monkeypatch.setenv("FEDPROOF_PROJECT", str(segmented_project(tmp_path).root))
    run = CliRunner().invoke(app, ["compile", "whole", "--memory", "51KiB"])
    plonk = load_spec("whole", tmp_path / "circuits").plonk
    assert plonk.segments > 1, run.exception
    assert f"whole: {plonk.segments} segment(s) of 2^9 rows, 1 column(s)" in run.output
    assert "written: whole.toml" in run.output
    assert str(run.exception).startswith(f"compiled {plonk.segments} segments")


@pytest.mark.parametrize(
    ("text", "expected"), [("8GiB", 8 * 2**30), ("1.5 G", 3 * 2**29), ("512MiB", 2**29), ("4096", 4096)]
)
def test_memory_is_read(text: str, expected: int):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "8 gigabytes", "1e9"])
def test_other_words_are_refused(text: str):
    with pytest.raises(CallerError, match="no amount of memory"):
        parse_bytes(text)
