"""ezkl's side of a model: the scale that reaches our accuracy, then keys, proofs and gas where they fit."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.circuits.extrapolate import Fit
from benchmarks.circuits.graph import plain
from benchmarks.circuits.results import Side, measured, size_of
from benchmarks.circuits.samples import take_samples
from benchmarks.circuits.scale import Choice, Probe, search
from benchmarks.isolated import StageFailed, run_stage
from benchmarks.ledger import Row
from benchmarks.onchain import Chain, measure_gas
from benchmarks.options import Options
from benchmarks.stock import LIKE_OURS, Stock
from benchmarks.subject import Floats
from benchmarks.workloads import TrainingWork
from fedproof.circuits import layout
from fedproof.srs import SrsStore

#: Scales that were tried, as JSON values.
Probes = list[dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """A model's float graph and the batch it is run on."""

    name: str
    graph: onnx.ModelProto
    rewrites: list[str]
    work: TrainingWork

    @classmethod
    def of(cls, name: str, graph: onnx.ModelProto, work: TrainingWork) -> Task:
        """Prepare a float graph for ezkl."""
        return cls(name, *plain(graph), work)

    @property
    def inputs(self) -> list[Floats]:
        """Model, samples, targets."""
        return [self.work.theta, self.work.x, self.work.y]

    @property
    def fingerprint(self) -> str:
        """Hash of the graph and of the batch."""
        digest = hashlib.sha256(self.graph.SerializeToString(deterministic=True))
        for values in self.inputs:
            # All that ezkl reads of a number; the last bits of a float64 differ between machines.
            digest.update(np.asarray(values, dtype=np.float32).tobytes())
        return digest.hexdigest()[:16]


class Bench:
    """Measures tasks; what it writes lies in ``folder`` and is removed after each."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        srs: SrsStore,
        chain: Callable[[], Chain],
        say: Callable[[str], None],
    ) -> None:
        self.options, self.folder, self.srs, self.chain, self.say = options, folder, srs, chain, say

    def _subject(self, task: Task, scale: int) -> Stock:
        return Stock(
            Row("training-step", task.name, "stock", "calibrated"),
            self.options,
            self.folder / f"{task.name}-{scale}",
            graph=task.graph,
            inputs=task.inputs,
            expected=task.work.step,
            srs=self.srs,
            run_args=LIKE_OURS | {"input_scale": scale, "param_scale": scale},
            scales=[scale],
        )

    def probe(self, task: Task, scale: int) -> Probe:
        """Measure error and size at one scale, without keys."""
        subject = self._subject(task, scale)
        settings = subject.folder / layout.SETTINGS
        try:
            subject.prepare()
            compiled, witness = subject.folder / layout.COMPILED, subject.work / "witness.json"
            made = run_stage("witness", self.options, input=subject.input, compiled=compiled, witness=witness)
            subject.row.sample(made, "witness")
            error = float(np.abs(subject.result(made["outputs"]) - subject.expected()).max())
            found = Probe(scale, error, size_of(json.loads(settings.read_text())), subject.row.seconds)
        except StageFailed as failed:
            size = size_of(json.loads(settings.read_text())) if settings.is_file() else {}
            found = Probe(scale, None, size, subject.row.seconds, str(failed))
        finally:
            shutil.rmtree(subject.work, ignore_errors=True)
        told = found.failure or f"error {found.max_error:.2e}, 2^{found.size['logrows']} rows"
        self.say(f"scale {scale}: {told}")
        return found

    def choose(self, task: Task, target: float, known: Probes, keep: Callable[[Probes], None]) -> Choice:
        """Search for the scale whose error is at most ``target``; ``keep`` is given all probes after each."""
        held = [Probe(**p) for p in known]

        def probe(scale: int) -> Probe:
            held.append(self.probe(task, scale))
            keep([asdict(p) for p in held])
            return held[-1]

        return search(target, probe, list(held))

    def run(self, task: Task, choice: Choice, fit: Fit) -> Side:
        """Keys, proofs and gas at the chosen scale, or why not. Its size is measured either way."""
        scale, size = choice.probe.scale, choice.probe.size
        chosen = {"scale": scale, "scale_reached": choice.reached, "rewrites": task.rewrites}
        not_run = chosen | size | {"max_error": choice.probe.max_error, "extrapolated": True}
        needed = fit.peak(size["logrows"], size["arguments"])
        if size["logrows"] > self.options.max_logrows:
            return not_run | {"reason": f"2^{size['logrows']} rows, more than 2^{self.options.max_logrows}"}
        if needed > self.options.memory_limit:
            return not_run | {"reason": f"needs about {needed / 2**30:.0f} GiB of memory"}
        expected = fit.predict(size["logrows"], size["arguments"])
        about = f", about {expected['prove_s']:.0f} s a proof" if "prove_s" in expected else ""
        self.say(f"scale {scale}, 2^{size['logrows']} rows, {needed / 2**30:.1f} GiB{about}")
        subject = self._subject(task, scale)
        try:
            row = take_samples(subject, self.say)
            measure_gas(subject, self.chain())
            self.say(f"verified on chain: {row.gas['verify']:,} gas")
        except StageFailed as failed:
            return not_run | {"reason": str(failed), "tried": True}
        finally:
            shutil.rmtree(subject.work, ignore_errors=True)
        return chosen | measured(row, size)
