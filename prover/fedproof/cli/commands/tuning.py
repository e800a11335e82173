"""``fedproof circuits explain`` and ``tune``: where the cells go, and which numbers are the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output
from fedproof.errors import CallerError

if TYPE_CHECKING:
    import onnx

    from fedproof.circuits.calibration import Calibration
    from fedproof.circuits.cost_model import CostModel
    from fedproof.circuits.explain import Explanation, LayerReport
    from fedproof.circuits.spec import TrainingSpec
    from fedproof.circuits.tune import Candidate, Tuning
    from fedproof.project import Project

Name = Annotated[str, typer.Argument(metavar="NAME", help="A training circuit of `fedproof circuits list`.")]
DATA = "Real samples: an .npz file with x and y, or FILE.py:FUNCTION of the project that returns both."


def explain(
    name: Name,
    data: Annotated[str | None, typer.Option("--data", metavar="FILE", help=DATA)] = None,
    json: Json = False,
) -> None:
    """Show where a training circuit's cells go, layer by layer, and the cheapest change that would help.

    With data, each layer's tightest range on real batches as well, and what a change does to the error of a
    step. Nothing is compiled.

    Example:

        fedproof circuits explain digits-mlp --data models/digits.py:load
    """
    from fedproof.circuits.cost_model import CostModel  # noqa: PLC0415
    from fedproof.circuits.explain import explain as explained  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    spec, graph, calibration = _read(name, data, project, out)
    with out.working(f"explaining {name}"):
        model = CostModel()
        found = explained(spec, project.circuits, graph, calibration, model)
    document = {"name": name} | _explanation(found, spec, model)
    rows = [_layer_row(report, found) for report in found.layers]
    total = ("total", "", found.cells, "100 %", "", "", "")
    head = ("layer", "source", "cells", "share", "tightest range", "spare bits", "cheapest change")
    out.table(document, head, [*rows, total])
    if not json:
        room = spec.plonk.columns * 2**spec.plonk.logrows
        error = (
            ""
            if found.error is None
            else f"; largest error of a step {found.error:.2%} of its largest element"
        )
        out.result({}, f"{found.rows:,} of {room // spec.plonk.columns:,} rows used{error}")
        out.result({}, _predicted(found, model))


def tune(
    name: Name,
    data: Annotated[str, typer.Option("--data", metavar="FILE", help=DATA)],
    error: Annotated[
        float,
        typer.Option("--error", min=0, help="Largest error of a step, relative to its largest element."),
    ] = 0.02,
    gas: Annotated[int, typer.Option("--gas", min=1, help="Most gas of a verification.")] = 700_000,
    memory: Annotated[
        float, typer.Option("--memory", min=0.1, help="Most memory of the prover, GiB.")
    ] = 16.0,
    logrows: Annotated[int | None, typer.Option("--logrows", help="Only this many rows, log2.")] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=0, help="Epochs trained to compare accuracies.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="About how long to search.")] = 50.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the table, leave the files alone.")
    ] = False,
    json: Json = False,
) -> None:
    """Choose table width, fractional bits, rows and columns for real data, and write them to the declaration.

    Prints the circuits that no other one beats in prove time, gas and error at once. The chosen one is the
    fastest within the budgets. Averages of the circuit follow its rows.

    Example:

        fedproof circuits tune digits-mlp --data models/digits.py:load --error 0.01
    """
    from fedproof.circuits.cost_model import CostModel  # noqa: PLC0415
    from fedproof.circuits.rewrite import rewrite  # noqa: PLC0415
    from fedproof.circuits.tune import Budget, with_accuracies  # noqa: PLC0415
    from fedproof.circuits.tune import tune as tuned  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    spec, graph, calibration = _read(name, data, project, out)
    assert calibration
    model, budget = CostModel(), Budget(error, gas, memory * 2**30, logrows)
    with out.working(f"tuning {name}", chatty=True) as say:
        found = tuned(
            spec, project.circuits, graph, calibration, budget, seconds=seconds, model=model, progress=say
        )
        if epochs:
            found = with_accuracies(found, project.circuits, graph, calibration, budget, epochs)
    written: list[str] = []
    refused: CallerError | None = None
    if found.chosen and not dry_run:
        try:
            written = rewrite(
                name, project.circuits, found.chosen.spec, graph, lambda s: budget.holds(model.predict(s))
            )
        except CallerError as e:
            # Told after the table, which the search was for.
            refused = e
    if not found.complete:
        out.warn(f"the search stopped after {seconds:g} s; more --seconds try more numbers")
    twin = calibration.accuracy(calibration.in_floats(calibration.start, calibration.order(epochs)))
    document = _tuning(name, found, model, written) | {"float_accuracy": twin if epochs else None}
    marked = [("chosen" if c == found.chosen else "", c) for c in found.front]
    marked += [("declared", found.declared)] if found.declared else []
    out.table(document, HEAD, [_candidate_row(mark, c) for mark, c in marked])
    if refused:
        raise refused
    if json:
        return
    if epochs and twin is not None:
        out.result({}, f"float64 after {epochs} epochs: accuracy {twin:.1%}")
    if written:
        out.result({}, f"written: {', '.join(f'{n}.toml' for n in written)}")
    elif not found.chosen:
        raise CallerError("no circuit is within the budgets", hint="the table says what is possible")


HEAD = (
    *("", "table", "weights", "activations", "gradients", "k", "columns"),
    *("cells", "prove", "gas", "error", "accuracy"),
)


def _read(
    name: str, data: str | None, project: Project, out: Output
) -> tuple[TrainingSpec, onnx.ModelProto, Calibration | None]:
    from fedproof.circuits.calibration import Calibration, read_data  # noqa: PLC0415
    from fedproof.circuits.program import float_graph, training_step  # noqa: PLC0415
    from fedproof.circuits.spec import TrainingSpec, load_spec  # noqa: PLC0415

    spec = load_spec(name, project.circuits)
    if not isinstance(spec, TrainingSpec):
        raise CallerError(f"{name!r} is a circuit of kind {spec.kind!r}; a training circuit is needed")
    with out.working(f"reading {name}") as say:
        say("export")
        graph = float_graph(spec, project.root)
        if data is None:
            return spec, graph, None
        say("calibration")
        x, y = read_data(data, spec, project.root)
        return spec, graph, Calibration(training_step(spec, project.root), x, y)


def _layer_row(report: LayerReport, found: Explanation) -> tuple[object, ...]:
    layer, tight = report.layer, report.tightest
    seen = (
        f"{tight.tensor}: [{tight.least:.3g}, {tight.most:.3g}] of [{tight.low:.3g}, {tight.high:.3g})"
        if tight
        else ""
    )
    change = f"{report.change.what}: {report.saves:,} fewer" if report.change else ""
    spare = f"{tight.spare_bits:.1f}" if tight else ""
    return layer.name, layer.source, layer.total, f"{layer.total / found.cells:.1%}", seen, spare, change


def _predicted(found: Explanation, model: CostModel) -> str:
    p = found.predicted
    return (
        f"predicted: prove {p.prove_s:.2f} s, {p.peak_bytes / 2**20:.0f} MiB, key {p.pk_bytes / 1e6:.1f} MB, "
        f"proof {p.proof_bytes:.0f} B, verifier {p.verifier_bytes:.0f} B, {p.gas:,.0f} gas "
        f"(times are those of: {model.host})"
    )


def _explanation(found: Explanation, spec: TrainingSpec, model: CostModel) -> dict[str, Any]:
    return {
        "cells": found.cells,
        "rows": found.rows,
        "logrows": spec.plonk.logrows,
        "columns": spec.plonk.columns,
        "error": found.error,
        "predicted": vars(found.predicted) | {"host": model.host},
        "layers": [
            {
                "layer": r.layer.name,
                "source": r.layer.source,
                "cells": r.layer.total,
                "share": r.layer.total / found.cells,
                "kinds": dict(r.layer.cells),
                "tightest": vars(r.tightest) | {"spare_bits": r.tightest.spare_bits} if r.tightest else None,
                "change": {"what": r.change.what, "saves": r.saves} if r.change else None,
            }
            for r in found.layers
        ],
        "ranges": [vars(r) | {"spare_bits": r.spare_bits} for r in found.ranges],
        "changes": [vars(c) for c in found.changes],
    }


def _tuning(name: str, found: Tuning, model: CostModel, written: list[str]) -> dict[str, Any]:
    prove = model.fits["prove_cpu_s"]
    return {
        "name": name,
        "host": model.host,
        "prove_s_error": {"rms": prove.rms, "worst": prove.worst},
        "tried": found.tried,
        "complete": found.complete,
        "front": [_candidate(c) for c in found.front],
        "declared": _candidate(found.declared) if found.declared else None,
        "chosen": _candidate(found.chosen) if found.chosen else None,
        "written": written,
    }


def _candidate(c: Candidate) -> dict[str, Any]:
    return {
        "numbers": c.spec.numbers.model_dump(),
        "plonk": c.spec.plonk.model_dump(),
        "cells": c.size.cells,
        "error": c.error,
        "accuracy": c.accuracy,
        "overflows": c.overflows,
        "predicted": vars(c.predicted),
    }


def _candidate_row(mark: str, c: Candidate) -> tuple[object, ...]:
    n, plonk, p = c.spec.numbers, c.spec.plonk, c.predicted
    accuracy = "" if c.accuracy is None else f"{c.accuracy:.1%}"
    accuracy = "leaves its range" if c.overflows else accuracy
    return (
        mark, n.table, n.weights, n.activations, n.gradients, plonk.logrows, plonk.columns, c.size.cells,
        f"{p.prove_s:.2f} s", round(p.gas), f"{c.error:.2%}", accuracy,
    )  # fmt: skip
