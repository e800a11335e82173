"""A compiled circuit: artefacts in a folder, and the program they prove."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx

from fedproof.circuits.manifest import Manifest
from fedproof.circuits.program import build_program
from fedproof.circuits.shards import FOLDER as SHARD
from fedproof.circuits.spec import AverageSpec, TrainingSpec, numbers_of, training_of
from fedproof.commitments import Committer
from fedproof.errors import CallerError
from fedproof.lowering import Cut, Numbers, Program, cut, partition
from fedproof.srs import Srs

FLOAT, MANIFEST, DECLARATIONS = "float.onnx", "manifest.json", "declarations"


@dataclass(frozen=True)
class Circuit:
    """A folder of artefacts that match their manifest."""

    folder: Path
    manifest: Manifest
    srs: Srs

    @property
    def name(self) -> str:
        """The circuit's name."""
        return self.manifest.name

    @cached_property
    def cut(self) -> Cut:
        """The integer program in its segments, lowered again from the stored float graph."""
        spec = self.manifest.spec
        graph = onnx.load(str(self.folder / FLOAT))
        program = build_program(spec, self._declarations, graph)
        parts = [entry.claims for entry in self.manifest.segments] or partition(program, 1)
        return cut(program, parts, self.committer.usable_rows)

    @property
    def _declarations(self) -> Path:
        """Where the declaration of the training circuit lies that this one belongs to."""
        return self.folder / DECLARATIONS

    @cached_property
    def training(self) -> TrainingSpec:
        """The declaration of the training circuit: this one's, or that of its ``of``."""
        return training_of(self.manifest.spec, self._declarations)

    @cached_property
    def numbers(self) -> Numbers:
        """Where the binary points are; raises :class:`CallerError` for an average, which has none."""
        spec = self.manifest.spec
        if isinstance(spec, AverageSpec):
            raise CallerError(f"{self.name!r} is a circuit of kind 'average', which has no model of its own")
        return numbers_of(spec, self.training)

    @cached_property
    def program(self) -> Program:
        """The integer program, with the committed vectors of :attr:`manifest`."""
        return self.cut.joint

    @cached_property
    def committer(self) -> Committer:
        """Commitments under this circuit's SRS."""
        return Committer(self.srs.path, self.manifest.costs.logrows)

    @cached_property
    def parts(self) -> tuple[Circuit, ...]:
        """What is proven, one proof each: segments, shards (the same circuit each), or the circuit itself."""
        if self.manifest.shards:
            return (_shard(self),) * self.manifest.shards.count
        return tuple(_segment(self, i) for i in range(len(self.manifest.segments))) or (self,)


@dataclass(frozen=True)
class Segment(Circuit):
    """Segment number ``index`` of ``whole``: a circuit with keys of its own."""

    whole: Circuit
    index: int

    @cached_property
    def program(self) -> Program:
        """The claims of this segment."""
        return self.whole.cut.segments[self.index]

    @cached_property
    def committer(self) -> Committer:
        """The same for all segments."""
        return self.whole.committer


@dataclass(frozen=True)
class Shard(Circuit):
    """What each shard of ``whole``, an average, is proven with."""

    whole: Circuit

    @cached_property
    def program(self) -> Program:
        """That some columns hold digits."""
        assert self.whole.manifest.shards is not None
        return self.whole.manifest.shards.program

    @cached_property
    def committer(self) -> Committer:
        """That of the average."""
        return self.whole.committer


def segment_folder(folder: Path, index: int) -> Path:
    """Where segment number ``index`` of the circuit in ``folder`` lies."""
    return folder / f"segment{index}"


def _segment(whole: Circuit, index: int) -> Segment:
    folder = segment_folder(whole.folder, index)
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    return Segment(folder, manifest, whole.srs, whole, index)


def _shard(whole: Circuit) -> Shard:
    folder = whole.folder / SHARD
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    return Shard(folder, manifest, whole.srs, whole)
