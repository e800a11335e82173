"""Where a training circuit's cells go, layer by layer, and what would make them fewer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from fedproof.circuits.calibration import Calibration
from fedproof.circuits.changes import single_changes
from fedproof.circuits.cost_model import CostModel, Prediction
from fedproof.circuits.layers import Layer, by_layer, totals
from fedproof.circuits.program import build_program
from fedproof.circuits.ranges import Range, ranges
from fedproof.circuits.sizes import size_of
from fedproof.circuits.spec import TrainingSpec
from fedproof.errors import CallerError
from fedproof.lowering import Program
from fedproof.lowering.circuit.counting import CellCounter

#: A change may make the error this much larger before it is no longer worth its cells.
TOLERATED = 1.25


@dataclass(frozen=True)
class Change:
    """One number changed: what it does to the whole circuit, and to each layer's cells."""

    what: str
    cells: int
    error: float | None
    layers: dict[str, int]


@dataclass(frozen=True)
class LayerReport:
    """A layer, its tightest range on real batches, and the one change that saves most of its cells."""

    layer: Layer
    tightest: Range | None
    change: Change | None

    @property
    def saves(self) -> int:
        """Cells of this layer that the change saves."""
        return -self.change.layers.get(self.layer.name, 0) if self.change else 0


@dataclass(frozen=True)
class Explanation:
    """All of it. ``error`` is relative to the largest element of a step; None without data."""

    cells: int
    rows: int
    error: float | None
    predicted: Prediction
    layers: list[LayerReport]
    ranges: list[Range]
    changes: list[Change]


def explain(
    spec: TrainingSpec,
    folder: Path,
    graph: onnx.ModelProto,
    calibration: Calibration | None,
    model: CostModel | None = None,
) -> Explanation:
    """Explain the circuit of a declaration whose float graph is ``graph``.

    Raises :class:`CallerError` where a value of the calibration leaves its range.
    """
    program = build_program(spec, folder, graph)
    columns, counter = spec.plonk.columns, CellCounter(program)
    layers = by_layer(program, columns, counter)
    error = calibration.error(program) if calibration else None
    seen = ranges(program, calibration.cases) if calibration else []
    changes = _changes(spec, folder, graph, layers, calibration)
    size = size_of(program, spec.plonk.logrows, columns, counter)
    return Explanation(
        cells=size.cells,
        rows=-(-size.cells // columns),
        error=error,
        predicted=(model or CostModel()).predict(size),
        layers=[_report(layer, seen, changes, error) for layer in layers],
        ranges=seen,
        changes=changes,
    )


def _report(layer: Layer, seen: list[Range], changes: list[Change], error: float | None) -> LayerReport:
    own = [r for r in seen if r.layer == layer.name]
    helpful = [
        c
        for c in changes
        if c.layers.get(layer.name, 0) < 0
        and c.cells < 0
        and (error is None or c.error is None or c.error <= error * TOLERATED)
    ]
    return LayerReport(
        layer,
        max(own, key=lambda r: r.used, default=None),
        min(helpful, key=lambda c: (c.layers[layer.name], c.cells), default=None),
    )


def _changes(
    spec: TrainingSpec,
    folder: Path,
    graph: onnx.ModelProto,
    layers: list[Layer],
    calibration: Calibration | None,
) -> list[Change]:
    before, found = totals(layers), []
    for what, changed in single_changes(spec):
        try:
            program: Program = build_program(changed, folder, graph)
            error = calibration.error(program) if calibration else None
        except CallerError:
            continue  # a value would leave its range
        after = totals(by_layer(program, spec.plonk.columns))
        difference = {name: after.get(name, 0) - before.get(name, 0) for name in before.keys() | after.keys()}
        if total := sum(difference.values()):
            found.append(Change(what, total, error, {n: d for n, d in difference.items() if d}))
    return sorted(found, key=lambda c: c.cells)
