"""One run over the models: what is finished and still the same is kept, the rest is measured."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.circuits.results import Results, Side, measured, size_of
from benchmarks.circuits.samples import take_samples
from benchmarks.circuits.scale import NoScaleError
from benchmarks.circuits.stock_side import Bench, Task
from benchmarks.isolated import StageFailed
from benchmarks.ledger import Row
from benchmarks.onchain import Chain
from benchmarks.options import Options
from benchmarks.ours import Ours, Work
from benchmarks.workloads import TrainingWork, float_graph, our_training, training_work
from fedproof.circuits import TrainingSpec, available, layout, load_spec
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.errors import CallerError, FedproofError
from fedproof.project import Project
from fedproof.record import collect_host, collect_versions
from fedproof.srs import SrsStore


def zoo(project: Project, wanted: list[str]) -> list[str]:
    """Return names of training circuits: all, or those called so, with or without the name of the data.

    Raises CallerError for a name that none has.
    """
    declared = {n: load_spec(n, project.circuits) for n in available(project.circuits)}
    names = [n for n, spec in declared.items() if isinstance(spec, TrainingSpec)]
    unknown = [w for w in wanted if not any(_is(n, w) for n in names)]
    if unknown:
        raise CallerError(f"no training circuit {', '.join(unknown)}", hint=f"there are: {', '.join(names)}")
    return [n for n in names if not wanted or any(_is(n, w) for w in wanted)]


def _is(name: str, wanted: str) -> bool:
    return name == wanted or name.partition("-")[2] == wanted


class Run:
    """Measures models one after the other. ``failed`` says which of ours could not be measured, and why."""

    def __init__(self, project: Project, results: Results, options: Options) -> None:
        self.project, self.results, self.options = project, results, options
        self.store, self.failed = CircuitStore(project), dict[str, str]()
        self.folder = Path(tempfile.mkdtemp(prefix="bench-circuits-"))
        self._chain: Chain | None = None
        self._name = ""

    @contextmanager
    def open(self) -> Iterator[Run]:
        """Remove what was written and stop the chain at the end."""
        try:
            yield self
        finally:
            if self._chain is not None:
                self._chain.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def chain(self) -> Chain:
        """The chain for gas, started when first needed."""
        if self._chain is None:
            self._chain = Chain(self.folder / "devnet")
        return self._chain

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Machine and versions."""
        versions = collect_versions(self.project.root).model_dump(mode="json")
        return {"host": collect_host().model_dump(mode="json"), "versions": versions}

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"  {datetime.now(UTC):%H:%M:%S}  {self._name}: {text}", flush=True)

    def model(self, name: str, sides: list[str]) -> None:
        """Measure the sides of one model that are not finished."""
        self._name = name
        try:
            self.say("compile, unless it is compiled")
            circuit = self.store.get(name, progress=self.say)
            work = training_work(circuit, self.project)
            exact = our_training(circuit, work)
            about = {
                "parameters": len(work.theta),
                "batch": len(work.x),
            }
            target = float(np.abs(exact.result - exact.expected).max())
            if "ours" in sides:
                self._ours(circuit, work, about)
            if "stock" in sides:
                self._stock(circuit, work, about, target)
        except (FedproofError, StageFailed) as error:
            self.failed[name] = str(error)
            self.say(f"failed: {error}")

    def _ours(self, circuit: Circuit, work: TrainingWork, about: dict[str, Any]) -> None:
        fingerprint = circuit.manifest.key
        if self.results.side(circuit.name, "ours", fingerprint):
            self.say("ours is measured already")
            return

        def prepare(row: Row) -> Work:
            started = time.perf_counter()
            made = our_training(circuit, work)
            row.sample({"prepare": time.perf_counter() - started}, "prepare")
            return made

        row = Row("training-step", circuit.name, "ours", "fedproof")
        subject = Ours(row, self.options, self.folder / "ours", circuit=circuit, prepare_work=prepare)
        context = self._context()
        try:
            take_samples(subject, self.chain, lambda text: self.say(f"ours, {text}"))
        finally:
            shutil.rmtree(subject.work, ignore_errors=True)
        size = size_of(json.loads((circuit.folder / layout.SETTINGS).read_text()))
        side = measured(row, size) | {"lookups": circuit.manifest.costs.lookups}
        self.results.put(circuit.name, about, ours=side | context | {"fingerprint": fingerprint})

    def _stock(self, circuit: Circuit, work: TrainingWork, about: dict[str, Any], target: float) -> None:
        name = circuit.name
        task = Task.of(name, float_graph(circuit), work)
        bench = Bench(
            self.options,
            self.folder,
            SrsStore(self.project.srs),
            self.chain,
            lambda text: self.say(f"ezkl, {text}"),
        )

        def keep(probes: list[dict[str, Any]]) -> None:
            self.results.put(name, about, search={"fingerprint": task.fingerprint, "probes": probes})

        known = self.results.probes(name, task.fingerprint)
        try:
            choice = bench.choose(task, target, known, keep)
        except NoScaleError as none:
            side: Side = {"extrapolated": True, "failure": str(none), "rewrites": task.rewrites}
            self.results.put(name, about, stock=side | self._context())
            return
        fingerprint = f"{task.fingerprint}-{choice.probe.scale}"
        if self.results.side(name, "stock", fingerprint):
            self.say("ezkl's side is measured already")
            return
        context = self._context()
        side = bench.run(task, choice, self.results.fit())
        if side["extrapolated"]:
            self.say(f"ezkl's side is extrapolated: {side['reason']}")
        side |= {"target_error": target, "fingerprint": fingerprint}
        self.results.put(name, about, stock=side | context)

    def _context(self) -> dict[str, Any]:
        started = datetime.now(UTC).replace(microsecond=0)
        return {"at": started.isoformat(), "load": round(os.getloadavg()[0], 2), **self.environment}
