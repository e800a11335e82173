"""Driving the forger: compile a program with or without some of its checks, and prove any witness with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from fedproof.circuits import layout
from fedproof.commitments import SCALAR_MODULUS
from fedproof.lowering import Program, circuit_graph
from fedproof.lowering.ir import IntArray

FORGER = Path(__file__).with_name("forger.py")
#: ezkl 23.0.5 sometimes never returns from proving an unsatisfied lookup.
PATIENCE = 60


def fraction(numerator: int, denominator: int) -> int:
    """The field element numerator / denominator, which is no small integer unless it divides."""
    return numerator * pow(denominator, -1, SCALAR_MODULUS) % SCALAR_MODULUS


def without(program: Program, label: str) -> Program:
    """The program without the range checks whose label begins with ``label``; there must be some."""
    kept = [c for c in program.checks if not c.label.startswith(label)]
    assert len(kept) < len(program.checks), f"no check {label!r} among {[c.label for c in program.checks]}"
    return replace(program, checks=kept)


def slots_of(
    program: Program, values: Mapping[int, IntArray], forged: Mapping[int, Sequence[int]] | None = None
) -> list[list[int]]:
    """Committed vectors from tensors, with those of ``forged`` (by node) replaced; every salt is 1."""
    chosen = {i: [int(v) for v in x.ravel()] for i, x in values.items()} | dict(forged or {})
    return [[v for i in slot.nodes for v in chosen[i]] + [1] * slot.salt for slot in program.slots]


@dataclass(frozen=True)
class Outcome:
    """What became of a forged witness."""

    valid: bool
    refused_by_gen_witness: str | None
    computed_instance: int | None
    refusal: str | None
    proof: bytes


@dataclass(frozen=True)
class Forgery:
    """A compiled program under attack."""

    program: Program
    folder: Path
    srs: Path

    @classmethod
    def of(
        cls,
        program: Program,
        folder: Path,
        srs: Path,
        logrows: int,
        columns: int = 1,
        laid_out_as: Program | None = None,
        permissive: bool = True,
    ) -> Forgery:
        """Compile ``program``; the forger lays out ``laid_out_as`` (default: the same) under its key.

        With ``permissive`` every lookup of the layout claims to be in range; without, the sum gives it away.
        """
        (folder / "permissive").mkdir(parents=True)
        onnx.save(circuit_graph(program), str(folder / "circuit.onnx"))
        graph = circuit_graph(laid_out_as or program)
        for tensor in graph.graph.initializer:
            if tensor.name == "exponent" and permissive:
                tensor.CopyFrom(numpy_helper.from_array(np.array(-1e-9, dtype=np.float32), "exponent"))
        onnx.save(graph, str(folder / "permissive" / "circuit.onnx"))
        made = cls(program, folder, srs)
        args = layout.run_args(program.table_bits, logrows, columns, freivalds=False)
        made._run("set_up", args=args)
        return made

    def attempt(self, honest: list[list[int]], forged: list[list[int]] | None = None) -> Outcome:
        """Prove ``forged`` with the pinned instance; the honest slots lend the shape of the witness file."""
        as_text = [
            [[str(v % SCALAR_MODULUS) for v in slot] for slot in w] for w in (honest, forged or honest)
        ]
        try:
            answer = self._run("forge", honest=as_text[0], forged=as_text[1], instance=self.program.lookups)
        except subprocess.TimeoutExpired:
            return Outcome(False, None, None, "ezkl did not return", b"")
        assert answer["instance"] in (None, self.program.lookups)
        computed = answer["witness_instance"]
        return Outcome(
            answer["valid"],
            answer["witness_refused"],
            None if computed is None else int(computed),
            answer.get("refusal"),
            bytes.fromhex(answer.get("proof", "").removeprefix("0x")),
        )

    def _run(self, task: str, **arguments):
        request, answer = self.folder / "request.json", self.folder / "answer.json"
        request.write_text(
            json.dumps({"task": task, "folder": str(self.folder), "srs": str(self.srs), **arguments})
        )
        answer.unlink(missing_ok=True)
        run = subprocess.run(
            [sys.executable, str(FORGER), str(request), str(answer)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert answer.is_file(), run.stderr[-2000:]
        return json.loads(answer.read_text())
