"""Which layout of a step keeps a prover within a memory budget: in how many segments, rows and columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fedproof.circuits.cost_model import CostModel, Size
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.rewrite import rewrite
from fedproof.circuits.sizes import size_of
from fedproof.circuits.spec import TrainingSpec, load_spec
from fedproof.commitments.committer import RESERVED_ROWS
from fedproof.errors import CallerError
from fedproof.lowering import Program, cut, partition
from fedproof.lowering.circuit.counting import CellCounter
from fedproof.project import Project

#: ezkl's num_inner_cols that are tried.
COLUMNS = (1, 2, 3, 4)
#: Segments that are tried.
MOST_SEGMENTS = 16
#: By how much a measured peak has exceeded the prediction: 16% at 2^13 rows, on a machine busy with more.
MARGIN = 1.2
#: Of the verification of one proof: where an average takes more, it is shared out over several.
MOST_GAS = 700_000
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Fitted:
    """A declaration that fits: predicted are its largest segment's peak, with a margin, and all times."""

    spec: TrainingSpec
    peak_bytes: float
    prove_s: float


def parse_bytes(text: str) -> int:
    """Read an amount of memory: ``8GiB``, ``512 MiB``, or bytes. Raises :class:`CallerError` for others."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB)?\s*", text)
    if not found:
        raise CallerError(f"{text!r} is no amount of memory", hint="write it as 8GiB or 512MiB")
    return int(float(found[1]) * UNITS[found[2]])


def fit(spec: TrainingSpec, program: Program, memory: int, model: CostModel | None = None) -> Fitted:
    """Return the declaration in the fewest segments that a prover of ``memory`` bytes can prove one by one.

    The declared rows are kept where they can be, and halved where they alone take too much. Among layouts of
    as many segments the fastest is taken. Raises :class:`CallerError` where nothing fits.
    """
    model = model or CostModel()
    least = float("inf")
    for logrows in range(spec.plonk.logrows, program.table_bits, -1):
        floor = MARGIN * model.predict(_empty(logrows)).peak_bytes
        least = min(least, floor)
        if floor > memory:
            continue
        for count in range(1, MOST_SEGMENTS + 1):
            try:
                found = _fastest(spec, program, logrows, count, memory, model)
            except CallerError:
                break
            if found:
                return found
    raise CallerError(
        f"no cut of the step fits {memory / 2**20:,.0f} MiB: its table needs 2^{program.table_bits + 1} "
        f"rows, which alone take about {least / 2**20:,.0f} MiB, and every segment holds whole vectors",
        hint="a narrower table, a smaller batch or more memory",
    )


def _empty(logrows: int) -> Size:
    return Size(logrows, 1, 2, 0)


def _fastest(
    spec: TrainingSpec, program: Program, logrows: int, count: int, memory: int, model: CostModel
) -> Fitted | None:
    segments = cut(program, partition(program, count), 2**logrows - RESERVED_ROWS).segments
    counters = [CellCounter(s) for s in segments]
    best: Fitted | None = None
    for columns in COLUMNS:
        sizes = [size_of(s, logrows, columns, c) for s, c in zip(segments, counters, strict=True)]
        if not all(s.fits for s in sizes):
            continue
        predicted = [model.predict(s) for s in sizes]
        peak = MARGIN * max(p.peak_bytes for p in predicted)
        seconds = sum(p.prove_s for p in predicted)
        if peak <= memory and (best is None or seconds < best.prove_s):
            plonk = spec.plonk.model_copy(update={"logrows": logrows, "columns": columns, "segments": count})
            best = Fitted(spec.model_copy(update={"plonk": plonk}), peak, seconds)
    return best


def fit_declaration(
    name: str, project: Project, memory: int, progress: Callable[[str], None] = lambda _: None
) -> tuple[Fitted, list[str]]:
    """Fit circuit ``name`` and write its declaration; return what was chosen and which files were changed.

    Averages of the circuit follow its rows, in shards where they fit the memory only so. Raises what
    :func:`fit` raises, and :class:`CallerError` for an average, which is no step, or one that does not fit:
    then nothing is written.
    """
    spec = load_spec(name, project.circuits)
    if not isinstance(spec, TrainingSpec):
        raise CallerError(f"{name!r} is an average, which cannot be cut", hint=f"fit {spec.of!r} instead")
    progress("export")
    graph = float_graph(spec, project.root)
    progress("fit")
    model = CostModel()

    def affordable(size: Size) -> bool:
        predicted = model.predict(size)
        return MARGIN * predicted.peak_bytes <= memory and predicted.gas <= MOST_GAS

    fitted = fit(spec, build_program(spec, project.circuits, graph), memory, model)
    return fitted, rewrite(name, project.circuits, fitted.spec, graph, affordable)
