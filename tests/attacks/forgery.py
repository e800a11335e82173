"""Driving the forger: compile a program with or without some of its checks, and prove any witness with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from fedproof.circuits import layout
from fedproof.commitments import NO_CONTEXT, SCALAR_MODULUS, Committer, challenge
from fedproof.lowering import Program, circuit_graph
from fedproof.lowering.ir import IntArray

FORGER = Path(__file__).with_name("forger.py")
#: ezkl 23.0.5 sometimes never returns from proving an unsatisfied lookup.
PATIENCE = 30


def fraction(numerator: int, denominator: int) -> int:
    """The field element numerator / denominator, which is no small integer unless it divides."""
    return numerator * pow(denominator, -1, SCALAR_MODULUS) % SCALAR_MODULUS


def without(program: Program, claim: str) -> Program:
    """The program without a claim: ``check LABEL``, ``equation LABEL``, or all ``functions``."""
    kind, _, label = claim.partition(" ")
    match kind:
        case "check":
            weak = replace(program, checks=[c for c in program.checks if c.label != label])
            assert len(weak.checks) < len(program.checks), [c.label for c in program.checks]
        case "equation":
            weak = replace(program, equations=[e for e in program.equations if e.label != label])
            assert len(weak.equations) < len(program.equations), [e.label for e in program.equations]
        case _:
            assert program.functions
            weak = replace(program, functions=[], tables=[], counts=[])
    return weak


def slots_of(
    program: Program, values: Mapping[int, IntArray], forged: Mapping[int, Sequence[int]] | None = None
) -> list[list[int]]:
    """Committed vectors from tensors, with those of ``forged`` (by node) replaced; every salt is 1."""
    chosen = {i: [int(v) for v in x.ravel()] for i, x in values.items()} | dict(forged or {})
    shifts = program.shifts()
    return [
        [(v + shifts.get(i, 0)) % SCALAR_MODULUS for i in slot.nodes for v in chosen[i]] + [1] * slot.salt
        for slot in program.slots
    ]


@dataclass(frozen=True)
class Outcome:
    """What became of a forged witness."""

    valid: bool
    refused_by_gen_witness: str | None
    computed_instances: list[int] | None
    instances: list[int]
    refusal: str | None
    proof: bytes


@dataclass(frozen=True)
class Forgery:
    """A compiled program under attack."""

    program: Program
    folder: Path
    srs: Path
    logrows: int

    @cached_property
    def committer(self) -> Committer:
        return Committer(self.srs, self.logrows)

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
        made = cls(program, folder, srs, logrows)
        args = layout.run_args(program.table_bits, logrows, columns)
        made._run("set_up", args=args)
        return made

    def challenge(self, slots: list[list[int]]) -> int:
        """The challenge of these vectors, as whoever verifies derives it."""
        return challenge(NO_CONTEXT, [self.committer.full(slot) for slot in slots])

    def attempt(
        self, honest: list[list[int]], forged: list[list[int]] | None = None, *, late: int | None = None
    ) -> Outcome:
        """Prove ``forged`` with the pinned instance; the honest slots lend the shape of the witness file.

        The challenge is derived from what is committed to, unless ``late`` is in its place.
        """
        forged = forged or honest
        expected = [self.program.lookups]
        if self.program.challenged:
            expected.append(self.challenge(forged) if late is None else late)
            honest, forged = [*honest, [self.challenge(honest)]], [*forged, [expected[1]]]
        as_text = [[[str(v % SCALAR_MODULUS) for v in slot] for slot in w] for w in (honest, forged)]
        try:
            answer = self._run(
                "forge", honest=as_text[0], forged=as_text[1], instances=[str(v) for v in expected]
            )
        except subprocess.TimeoutExpired:
            return Outcome(False, None, None, [], "ezkl did not return", b"")
        assert answer["instances"] in (None, [str(v) for v in expected])
        computed = answer["witness_instances"]
        return Outcome(
            answer["valid"],
            answer["witness_refused"],
            None if computed is None else [int(v) for v in computed],
            expected,
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
