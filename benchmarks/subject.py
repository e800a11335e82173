"""Something that is measured: a compiled circuit with keys, an input, and a row for its figures."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.isolated import run_stage
from benchmarks.ledger import Row
from benchmarks.options import Options
from fedproof.circuits import layout

Floats = NDArray[np.float64]


class Measure(Protocol):
    """Runs one stage of a subject some times under pytest-benchmark; see the fixture ``measure``."""

    def __call__(
        self, subject: Subject, stage: str, call: Callable[[], None], rounds: int | None = None
    ) -> None:
        """``rounds`` defaults to what the circuit's size allows."""


class Subject(ABC):
    """Measured the same way on both sides; only where artefacts and inputs come from differs."""

    def __init__(self, row: Row, options: Options, work: Path) -> None:
        self.row, self.options, self.work = row, options, work
        self.input = work / "input.json"
        self.proof = work / "proof.json"
        self.prepared = False

    # -- what the sides differ in -------------------------------------------------------------------

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Folder of the settings, the compiled circuit and the verifiers."""

    @property
    @abstractmethod
    def keys(self) -> Path:
        """Folder of the keys that proofs are made with."""

    @property
    @abstractmethod
    def srs(self) -> Path:
        """The SRS, of exactly the circuit's rows."""

    @abstractmethod
    def make(self) -> None:
        """Make the compiled circuit and the input file."""

    @abstractmethod
    def result(self, outputs: list[list[str]]) -> Floats:
        """Return what the circuit computed, as real numbers."""

    @abstractmethod
    def expected(self) -> Floats:
        """Return the same in float64."""

    # -- what they share ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make everything up to the keys, once; fill in the size of the circuit."""
        if self.prepared:
            return
        self.work.mkdir(parents=True, exist_ok=True)
        self.make()
        settings = json.loads((self.folder / layout.SETTINGS).read_text())
        self.row.logrows = settings["run_args"]["logrows"]
        self.row.rows = settings["num_rows"]
        self.row.cells = settings["total_assignments"]
        self.row.run_args = settings["run_args"]
        self.prepared = True

    def setup(self) -> None:
        """Take one sample of making the keys."""
        self.prepare()
        out = self.work / "keys"
        out.mkdir(exist_ok=True)
        answer = run_stage(
            "setup",
            self.options,
            compiled=self.folder / layout.COMPILED,
            vk=out / layout.VK,
            pk=out / layout.PK,
            srs=self.srs,
        )
        self.row.sample(answer, "setup")
        self._note_keys(out)

    def prove(self) -> None:
        """Take one sample of witness and proof."""
        self._need_keys()
        answer = run_stage(
            "prove",
            self.options,
            input=self.input,
            compiled=self.folder / layout.COMPILED,
            witness=self.work / "witness.json",
            pk=self.keys / layout.PK,
            proof=self.proof,
            srs=self.srs,
        )
        self.row.sample(answer, "prove")
        self.row.proof_bytes = len(self.raw_proof)
        if self.row.error is None:
            exact, found = self.expected(), self.result(answer["outputs"])
            self.row.error = {
                "max_abs": float(np.abs(found - exact).max()),
                "largest": float(np.abs(exact).max()),
            }

    def verify(self) -> None:
        """Take one sample of checking the proof."""
        if not self.proof.is_file():
            self.prove()
        answer = run_stage(
            "verify",
            self.options,
            proof=self.proof,
            settings=self.folder / layout.SETTINGS,
            vk=self.keys / layout.VK,
            srs=self.srs,
        )
        self.row.sample(answer, "verify")

    @property
    def raw_proof(self) -> bytes:
        """The proof bytes."""
        return bytes.fromhex(json.loads(self.proof.read_text())["hex_proof"].removeprefix("0x"))

    @property
    def instances(self) -> list[int]:
        """The public instances of the proof."""
        columns = json.loads(self.proof.read_text())["instances"]
        return [int.from_bytes(bytes.fromhex(v), "little") for column in columns for v in column]

    def _need_keys(self) -> None:
        self.prepare()
        if not (self.keys / layout.PK).is_file():
            self.setup()
        self._note_keys(self.keys)

    def _note_keys(self, folder: Path) -> None:
        self.row.proving_key_bytes = (folder / layout.PK).stat().st_size
        self.row.verifying_key_bytes = (folder / layout.VK).stat().st_size
