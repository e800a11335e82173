"""Shared by the tests of this folder: a small circuit in ezkl, laid out and asked for its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from field_model import vectors

from fedproof.circuits import layout
from fedproof.lowering import Program, circuit_graph
from fedproof.provers.cpu import run_worker


class InEzkl:
    """A program compiled by ezkl, without keys."""

    def __init__(
        self, program: Program, folder: Path, logrows: int = 11, columns: int = 1, *, expose: bool = False
    ) -> None:
        self.program, self.folder = program, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.graph = circuit_graph(program, expose=expose)
        onnx.save(self.graph, str(folder / "circuit.onnx"))
        args = layout.run_args(program.table_bits, logrows, columns)
        self.settings: dict[str, Any] = run_worker("costs", folder=str(folder), run_args=args)["settings"]

    def outputs(self, given: Mapping[int, Any], r: int = 0) -> list[list[int]]:
        """What gen_witness computes for these tensors of the prover's and this challenge."""
        slots = [[str(v) for v in slot] for slot in vectors(self.program, given, r)]
        answer = run_worker("witness", folder=str(self.folder), slots=slots)["outputs"]
        return [[int(v) for v in output] for output in answer]


@pytest.fixture
def in_ezkl(tmp_path: Path) -> Callable[..., InEzkl]:
    """Compile programs, each in a folder of its own."""
    made = iter(range(1000))
    return lambda program, *args, **how: InEzkl(program, tmp_path / f"c{next(made)}", *args, **how)
