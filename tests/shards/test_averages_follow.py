"""Fewer rows than an average was declared for: it follows its step into shards."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from sharded_project import average_text, sharded_project

from fedproof.circuits import AverageSpec, TrainingSpec
from fedproof.circuits.program import float_graph
from fedproof.circuits.rewrite import follow, rewrite
from fedproof.circuits.spec import load_spec
from fedproof.errors import CallerError
from fedproof.project import Project

pytestmark = pytest.mark.reference

#: In one circuit, as averages are declared first.
WHOLE = average_text("long", 1).replace("shards = 1\n", "")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return sharded_project(tmp_path)


@pytest.fixture
def graph(project: Project) -> onnx.ModelProto:
    spec = load_spec("long", project.circuits)
    assert isinstance(spec, TrainingSpec)
    return float_graph(spec, project.root)


def declared(project: Project, logrows: int, average: str) -> None:
    text = (project.circuits / "long.toml").read_text()
    (project.circuits / "long.toml").write_text(text.replace("logrows = 9", f"logrows = {logrows}"))
    (project.circuits / "long-average.toml").write_text(average)


def layout(project: Project) -> tuple[int, int, int | None]:
    spec = load_spec("long-average", project.circuits)
    assert isinstance(spec, AverageSpec)
    return spec.plonk.logrows, spec.plonk.columns, spec.plonk.shards


@pytest.mark.parametrize(
    ("logrows", "expected"),
    [
        # In one circuit; then columns of three digits, one and two columns each.
        (12, (12, 2, None)),
        (10, (10, 4, 2)),
        (9, (9, 4, 6)),
    ],
)
def test_as_few_shards_as_do(
    project: Project, graph: onnx.ModelProto, logrows: int, expected: tuple[int, int, int | None]
):
    declared(project, logrows, WHOLE)
    assert follow("long", project.circuits, graph) == ["long-average"]
    assert layout(project) == expected
    assert follow("long", project.circuits, graph) == []


def test_shards_that_are_too_many_become_fewer(project: Project, graph: onnx.ModelProto):
    declared(project, 12, average_text("long", 6, 4))
    follow("long", project.circuits, graph)
    assert layout(project) == (12, 2, 1)


def test_what_is_not_affordable_is_shared_out_further(project: Project, graph: onnx.ModelProto):
    declared(project, 12, average_text("long", 1, 4))
    follow("long", project.circuits, graph, lambda size: size.columns == 1)
    assert layout(project) == (12, 1, 2)


def test_what_no_layout_holds_is_told_and_nothing_is_written(project: Project, graph: onnx.ModelProto):
    declared(project, 9, WHOLE)
    with pytest.raises(CallerError, match=r"'long-average' does not fit 2\^9 rows") as told:
        follow("long", project.circuits, graph, lambda _: False)
    assert "--memory" in (told.value.hint or "")
    assert (project.circuits / "long-average.toml").read_text() == WHOLE


def test_a_step_whose_average_has_no_layout_stays_as_it_was(project: Project, graph: onnx.ModelProto):
    spec = load_spec("long", project.circuits)
    assert isinstance(spec, TrainingSpec)
    fewer = spec.model_copy(update={"plonk": spec.plonk.model_copy(update={"logrows": 10})})
    before = {p.name: p.read_text() for p in project.circuits.iterdir()}
    with pytest.raises(CallerError, match=r"'long-average' does not fit 2\^10 rows"):
        rewrite("long", project.circuits, fewer, graph, lambda _: False)
    assert {p.name: p.read_text() for p in project.circuits.iterdir()} == before
    assert rewrite("long", project.circuits, fewer, graph) == ["long", "long-average"]
    assert rewrite("long", project.circuits, fewer, graph) == []
