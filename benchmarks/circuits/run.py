"""One run over the models: what is finished and still the same is kept, the rest is measured."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.circuits.our_side import measure_ours
from benchmarks.circuits.results import Results, Side
from benchmarks.circuits.scale import NoScaleError
from benchmarks.circuits.stock_side import Bench, Task
from benchmarks.isolated import StageFailed
from benchmarks.onchain import Chain
from benchmarks.options import Options
from benchmarks.workloads import TrainingWork, exact_error, training_work
from fedproof.circuits import TrainingSpec, available, load_spec
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.store import CircuitStore
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
        """Measure the sides of one model that are not finished; a failure of ours does not stop ezkl's."""
        self._name = name
        spec = load_spec(name, self.project.circuits)
        assert isinstance(spec, TrainingSpec)
        work = training_work(spec, self.project)
        measure = {"ours": self._ours, "stock": self._stock}
        for side in sides:
            try:
                measure[side](spec, work)
            except (FedproofError, StageFailed) as error:
                self.failed[f"{name}, {side}"] = str(error)
                self.say(f"{side} failed: {error}")

    def _ours(self, _: TrainingSpec, work: TrainingWork) -> None:
        circuit = self.store.get(self._name, progress=lambda stage: self.say(f"ours, {stage}"))
        fingerprint = circuit.manifest.key
        if self.results.side(circuit.name, "ours", fingerprint):
            self.say("ours is measured already")
            return

        context = self._context()
        side = measure_ours(
            circuit,
            work,
            self.options,
            self.folder / "ours",
            self.chain,
            lambda text: self.say(f"ours, {text}"),
        )
        self.results.put(circuit.name, _about(work), ours=side | context | {"fingerprint": fingerprint})

    def _stock(self, spec: TrainingSpec, work: TrainingWork) -> None:
        name, about = self._name, _about(work)
        graph = float_graph(spec, self.project.root)
        target = exact_error(spec, build_program(spec, self.project.circuits, graph), work)
        task = Task.of(name, graph, work)
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


def _about(work: TrainingWork) -> dict[str, Any]:
    return {"parameters": len(work.theta), "batch": len(work.x)}
