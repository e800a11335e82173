"""Our side: a compiled circuit from the store and the committed vectors that the package gives its prover."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ledger import Row
from benchmarks.options import Options
from benchmarks.subject import Floats, Subject
from fedproof.circuits.store import Circuit
from fedproof.circuits.witness import late_vectors
from fedproof.commitments import NO_CONTEXT
from fedproof.provers.cpu.worker import felt


@dataclass(frozen=True)
class Work:
    """What is to be proven: the committed vectors, the result as real numbers, the same in float64."""

    slots: list[list[int]]
    result: Floats
    expected: Floats


class Ours(Subject):
    """A circuit of the store. ``prepare_work`` makes the vectors, and may add samples to the row."""

    def __init__(
        self, row: Row, options: Options, work: Path, *, circuit: Circuit, prepare_work: Callable[[Row], Work]
    ) -> None:
        super().__init__(row, options, work)
        self.circuit, self._prepare_work = circuit, prepare_work
        self._work: Work | None = None

    @property
    def folder(self) -> Path:
        """The circuit's folder in the store."""
        return self.circuit.folder

    @property
    def keys(self) -> Path:
        """The store's keys: setup is measured into another folder."""
        return self.circuit.folder

    @property
    def srs(self) -> Path:
        """The SRS the circuit was compiled with."""
        return self.circuit.srs.path

    @property
    def task(self) -> Work:
        """What is proven, made when first needed."""
        if self._work is None:
            self._work = self._prepare_work(self.row)
        return self._work

    def make(self) -> None:
        """Write the vectors as field elements, and the challenge that follows from their commitments."""
        slots, circuit = self.task.slots, self.circuit
        started = time.perf_counter()
        late = late_vectors(circuit.program, [circuit.committer.full(s) for s in slots], NO_CONTEXT)
        self.row.sample({"challenge": time.perf_counter() - started}, "challenge")
        data = [[felt(v) for v in slot] for slot in (*slots, *late)]
        self.input.write_text(json.dumps({"input_data": data}))

    def result(self, outputs: list[list[str]]) -> Floats:
        """Return the exact result. The circuit's outputs only say that every check holds.

        Raises ValueError if they do not.
        """
        made = [int.from_bytes(bytes.fromhex(v), "little") for output in outputs for v in output]
        wanted = list(self.circuit.manifest.instances)
        if made[: len(wanted)] != wanted:
            raise ValueError(f"the witness of {self.circuit.name} gives {made}, not {wanted}: a check fails")
        return self.task.result

    def expected(self) -> Floats:
        """Return the float64 result."""
        return self.task.expected
