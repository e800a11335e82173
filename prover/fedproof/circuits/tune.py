"""Choosing the numbers of a training circuit: the fastest proof within budgets of accuracy, gas, memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import onnx

from fedproof.circuits.calibration import Calibration
from fedproof.circuits.changes import COLUMNS, with_numbers, with_plonk
from fedproof.circuits.cost_model import CostModel, Prediction, Size
from fedproof.circuits.program import build_program
from fedproof.circuits.sizes import least_logrows, size_of
from fedproof.circuits.spec import TrainingSpec
from fedproof.errors import CallerError
from fedproof.lowering import Program
from fedproof.lowering.circuit.counting import CellCounter

#: Fractional bits tried around the declared ones, and table widths.
ACTIVATIONS, GRADIENTS, TABLES = range(-3, 4), range(-3, 4), range(8, 17)

#: Fractional bits of the weights with which a step is asked how many it comes to, the first that fits.
PROBES = (40, 36, 32, 28, 24, 20, 16)
#: Bits before the point that a weight keeps.
INTEGER_BITS = 4
#: Predictions of prove time closer than this are equal: the more accurate circuit is the better one.
CLOSE = 1.03


@dataclass(frozen=True)
class Budget:
    """Limits: error relative to the largest element of a step, gas of a verification, memory of a prover."""

    error: float
    gas: float = 700_000
    memory: float = 16 * 2**30
    logrows: int | None = None

    def holds(self, predicted: Prediction) -> bool:
        """Whether a circuit's gas and memory are within the limits."""
        return predicted.gas <= self.gas and predicted.peak_bytes <= self.memory


@dataclass(frozen=True)
class Candidate:
    """A declaration and what it should cost.

    ``accuracy`` is that after some epochs, where asked for; ``overflows`` where a value left its range then.
    """

    spec: TrainingSpec
    size: Size
    error: float
    predicted: Prediction
    accuracy: float | None = None
    overflows: bool = False

    @property
    def place(self) -> tuple[float, float, float]:
        """What the Pareto table weighs: seconds, gas, error."""
        return self.predicted.prove_s, self.predicted.gas, self.error


@dataclass(frozen=True)
class Tuning:
    """The Pareto front, fastest first; what was declared; the chosen one, if any is within the budgets."""

    front: list[Candidate]
    declared: Candidate | None
    chosen: Candidate | None
    tried: int
    complete: bool


def tune(
    spec: TrainingSpec,
    folder: Path,
    graph: onnx.ModelProto,
    calibration: Calibration,
    budget: Budget,
    *,
    seconds: float = 50.0,
    model: CostModel | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Search around ``spec`` for at most about ``seconds``; nearest numbers first."""
    search = _Search(spec, folder, graph, calibration, model or CostModel(), progress)
    found, complete = search.run(time.monotonic() + seconds)
    declared = search.as_declared()
    possible = [c for c in found if _within(c, budget)]
    front = pareto(possible)
    return Tuning(front, declared, _choose(front, budget), len(found), complete)


def pareto(candidates: list[Candidate]) -> list[Candidate]:
    """Return those that no other one beats in seconds, gas and error at once; fastest first."""
    front: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: c.place):
        if not any(all(a <= b for a, b in zip(o.place, c.place, strict=True)) for o in front):
            front.append(c)
    return front


def with_accuracies(
    tuning: Tuning,
    folder: Path,
    graph: onnx.ModelProto,
    calibration: Calibration,
    budget: Budget,
    epochs: int,
) -> Tuning:
    """Train each circuit of the front for ``epochs`` in its integers; choose anew among those that can."""
    order = calibration.order(epochs)

    def trained(c: Candidate | None) -> Candidate | None:
        if c is None:
            return None
        program = build_program(c.spec, folder, graph)
        try:
            theta = calibration.in_integers(program, calibration.start, order)
        except CallerError:
            return replace(c, overflows=True)
        return replace(c, accuracy=calibration.accuracy(theta))

    front = [t for c in tuning.front if (t := trained(c))]
    chosen = _choose([c for c in front if not c.overflows], budget)
    return replace(tuning, front=front, declared=trained(tuning.declared), chosen=chosen)


def _within(c: Candidate, budget: Budget) -> bool:
    fits = budget.logrows is None or c.size.logrows == budget.logrows
    return fits and budget.holds(c.predicted)


def _choose(front: list[Candidate], budget: Budget) -> Candidate | None:
    accurate = [c for c in front if c.error <= budget.error]
    if not accurate:
        return None
    fastest = min(c.predicted.prove_s for c in accurate)
    return min((c for c in accurate if c.predicted.prove_s <= fastest * CLOSE), key=lambda c: c.error)


class _Search:
    """Programs are lowered, counted and evaluated once each, however many layouts they are tried in."""

    def __init__(
        self,
        spec: TrainingSpec,
        folder: Path,
        graph: onnx.ModelProto,
        calibration: Calibration,
        model: CostModel,
        progress: Callable[[str], None],
    ) -> None:
        self.spec, self.folder, self.graph = spec, folder, graph
        self.calibration, self.model, self.progress = calibration, model, progress

    def run(self, deadline: float) -> tuple[list[Candidate], bool]:
        found: list[Candidate] = []
        for tried, spec in enumerate(self._numbers()):
            if time.monotonic() > deadline and found:
                return found, False
            self.progress(f"{tried + 1} sets of numbers tried")
            found += self._layouts(spec)
        return found, True

    def as_declared(self) -> Candidate | None:
        """The declaration as it is; None where its values leave their ranges."""
        try:
            program = self._program(self.spec)
            error = self.calibration.error(program)
        except CallerError:
            return None
        size = size_of(program, self.spec.plonk.logrows, self.spec.plonk.columns)
        return Candidate(self.spec, size, error, self.model.predict(size))

    def _numbers(self) -> Iterator[TrainingSpec]:
        """Every set of numbers, those nearest to the declared ones first."""
        n = self.spec.numbers
        around = sorted(product(ACTIVATIONS, GRADIENTS), key=lambda d: (max(map(abs, d)), d))
        tables = sorted(TABLES, key=lambda w: abs(w - n.table))
        grid = sorted(product(around, tables), key=lambda g: max(map(abs, g[0])) + abs(g[1] - n.table) / 2)
        exact: dict[tuple[int, int], TrainingSpec | None] = {}
        for (da, dg), table in grid:
            if (da, dg) not in exact:
                near = with_numbers(self.spec, activations=n.activations + da, gradients=n.gradients + dg)
                exact[da, dg] = near and self._with_exact_weights(near)
            near = exact[da, dg]
            if near and (spec := with_numbers(near, table=table)):
                yield spec

    def _with_exact_weights(self, spec: TrainingSpec) -> TrainingSpec | None:
        """Return ``spec`` with as many fractional bits of the weights as a step has, if they leave room."""
        most = spec.numbers.model - INTEGER_BITS
        for probe in PROBES:
            tried = with_numbers(spec, weights=probe)
            try:
                program = self._program(tried) if tried else None
            except CallerError:
                continue
            if tried and program:
                return with_numbers(spec, weights=max(0, min(step_scale(program), most)))
        return None

    def _layouts(self, spec: TrainingSpec) -> Iterator[Candidate]:
        try:
            program = self._program(spec)
            error = self.calibration.error(program)
        except CallerError:
            return  # a value leaves its range
        counter = CellCounter(program)
        for columns in COLUMNS:
            logrows = least_logrows(program, columns, counter)
            size = size_of(program, logrows, columns, counter)
            layout = with_plonk(spec, logrows=logrows, columns=columns)
            yield Candidate(layout, size, error, self.model.predict(size))

    def _program(self, spec: TrainingSpec) -> Program:
        return build_program(spec, self.folder, self.graph)


def step_scale(program: Program) -> int:
    """Return the most fractional bits that a part of a step comes to before it is brought to the weights'."""
    slot = next(s for s in program.slots if s.name == "step")
    scales = []
    for node in (program.nodes[i] for i in slot.nodes):
        if node.op != "hint":
            continue
        if node.attr("kind") == "div_round":
            scales.append(node.scale + int(node.attr("q")))
            continue
        before = program.nodes[node.inputs[0]]
        factor = before.attr("factor") if before.op == "times" else 1
        source = program.nodes[before.inputs[0]] if before.op == "times" else before
        restated = before.scale - source.scale == factor.bit_length() - 1 and factor & (factor - 1) == 0
        scales.append(source.scale if restated else before.scale)
    return max(scales)
