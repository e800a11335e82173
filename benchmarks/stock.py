"""The other side: a float ONNX graph through ezkl's own fixed-point path, as its documentation has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from benchmarks.isolated import run_stage
from benchmarks.ledger import Row
from benchmarks.options import Options
from benchmarks.subject import Floats, Subject
from fedproof.circuits import layout
from fedproof.commitments import SCALAR_MODULUS
from fedproof.srs import SrsStore

Variant = Literal["calibrated", "defaults"]
#: Our visibilities, so that both sides carry commitments to the same tensors. All else is ezkl's default.
LIKE_OURS = {"input_visibility": "polycommit", "output_visibility": "polycommit", "param_visibility": "fixed"}


class Stock(Subject):
    """A float graph and the real data for it.

    ``defaults`` takes Python's default settings; ``calibrated`` runs ``calibrate_settings`` on the data
    first, with ezkl's own choice of scales and rows. ``scales`` narrows that choice.
    """

    def __init__(
        self,
        row: Row,
        options: Options,
        work: Path,
        *,
        graph: onnx.ModelProto,
        inputs: list[Floats],
        expected: Floats,
        srs: SrsStore,
        run_args: dict[str, Any] | None = None,
        scales: list[int] | None = None,
    ) -> None:
        super().__init__(row, options, work)
        self.graph, self.inputs, self._expected, self._store = graph, inputs, expected, srs
        self.run_args, self.scales = run_args or LIKE_OURS, scales
        self._srs: Path | None = None

    @property
    def folder(self) -> Path:
        """The work folder: nothing of this side is kept."""
        return self.work

    @property
    def keys(self) -> Path:
        """Where setup wrote them."""
        return self.work / "keys"

    @property
    def srs(self) -> Path:
        """A development SRS of the size that ezkl chose, made once and kept."""
        if self._srs is None:
            self._srs = self._store.ensure_development(int(self.row.logrows or 0)).path
        return self._srs

    def make(self) -> None:
        """Settings, calibration, compilation."""
        onnx_path, settings = self.work / "float.onnx", self.work / layout.SETTINGS
        onnx_path.write_bytes(self.graph.SerializeToString())
        self.input.write_text(json.dumps({"input_data": [v.ravel().tolist() for v in self.inputs]}))
        self._stage("settings", onnx=onnx_path, settings=settings, run_args=self.run_args)
        self._note(settings)
        if self.row.variant == "calibrated":
            self._stage("calibrate", onnx=onnx_path, settings=settings, input=self.input, scales=self.scales)
            self._note(settings)
        self._stage("compile", onnx=onnx_path, settings=settings, compiled=self.work / layout.COMPILED)

    def result(self, outputs: list[list[str]]) -> Floats:
        """Return the output at the scale that ezkl gave it."""
        (scale,) = json.loads((self.folder / layout.SETTINGS).read_text())["model_output_scales"]
        values: Floats = np.array([_signed(v) for v in outputs[0]]) / 2.0**scale
        return values

    def expected(self) -> Floats:
        """Return the float64 result it was given."""
        return self._expected.ravel()

    def _stage(self, stage: str, **arguments: Any) -> None:
        self.row.sample(run_stage(stage, self.options, **arguments), stage)

    def _note(self, settings: Path) -> None:
        # Kept at once: a later stage may fail, and the row then still says how many rows it needs.
        found = json.loads(settings.read_text())
        self.row.rows, self.row.cells = found["num_rows"], found["total_assignments"]
        self.row.logrows, self.row.run_args = found["run_args"]["logrows"], found["run_args"]


def _signed(felt: str) -> float:
    value = int.from_bytes(bytes.fromhex(felt), "little")
    return float(value - SCALAR_MODULUS if value > SCALAR_MODULUS // 2 else value)
