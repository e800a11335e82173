"""``fedproof circuits``: what can be proven here, and its artefacts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output, Say
from fedproof.errors import CallerError, FedproofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fedproof.circuits.manifest import SlotShape
    from fedproof.circuits.shards import Shards
    from fedproof.circuits.store import Circuit, CircuitStore
    from fedproof.project import Project

app = typer.Typer(no_args_is_help=True, help="What can be proven here: declarations, artefacts, costs.")


def compiled(name: str, out: Output, store: CircuitStore | None = None) -> Circuit:
    """The compiled circuit ``name`` of this project, compiled first if need be."""
    from fedproof.circuits.store import CircuitStore  # noqa: PLC0415 - ezkl and onnx are slow to import
    from fedproof.project import Project  # noqa: PLC0415

    store = store or CircuitStore(Project.find())
    with out.working(f"preparing circuit {name}") as say:
        return store.get(name, progress=say)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the circuits declared in circuits/, and whether each is compiled.

    Example:

        fedproof circuits list
    """
    from fedproof.circuits.spec import available  # noqa: PLC0415
    from fedproof.circuits.store import CircuitStore  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    store = CircuitStore(project)
    found = [_listed(name, store) for name in available(project.circuits)]
    for item in found:
        if problem := item["problem"]:
            out.warn(problem)
    rows = [(f["name"], f["kind"] or "invalid", f["logrows"], f["compiled"]) for f in found]
    out.table({"circuits": found}, ("circuit", "kind", "logrows", "compiled"), rows)


def _listed(name: str, store: CircuitStore) -> dict[str, Any]:
    from fedproof.circuits.spec import load_spec  # noqa: PLC0415

    try:
        spec = load_spec(name, store.project.circuits)
    except FedproofError as error:
        return {"name": name, "kind": None, "logrows": None, "compiled": False, "problem": str(error)}
    is_compiled = store.is_compiled(name)
    return {
        "name": name,
        "kind": spec.kind,
        "logrows": spec.plonk.logrows,
        "compiled": is_compiled,
        "problem": None,
    }


@app.command("compile")
def compile_(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Circuits to compile.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Compile every circuit in circuits/.")] = False,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Most memory of a prover, as 8GiB: steps are cut into segments that fit.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compile circuits: their graphs, keys and verifiers, into the store under build/.

    What is there already and unchanged is not made again. One at a time: a compilation takes all cores.

    Example:

        fedproof circuits compile digits-linear digits-linear-average
        fedproof circuits compile digits-lenet --memory 2.5GiB
    """
    from fedproof.circuits.spec import available, load_spec  # noqa: PLC0415
    from fedproof.circuits.store import CircuitStore  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    if bool(names) == everything:
        raise CallerError("name circuits to compile, or --all", hint="see: fedproof circuits list")
    chosen = names or available(project.circuits)
    for name in chosen:
        load_spec(name, project.circuits)  # a wrong name is told before minutes are spent on the others
    if memory:
        told = _fit(chosen, memory, project, out)
        if not json:
            out.result({}, "\n".join(told))
    store = CircuitStore(project)
    made = [_compile(name, store, out) for name in chosen]
    rows = [
        (m["name"], m["key"][:12], "compiled" if m["compiled"] else "up to date", f"{m['seconds']:.1f} s")
        for m in made
    ]
    out.table({"circuits": made}, ("circuit", "key", "state", "time"), rows)


def _fit(names: list[str], memory: str, project: Project, out: Output) -> list[str]:
    """Cut the training circuits among ``names`` to fit ``memory``; return a line about each."""
    from fedproof.circuits.fitting import fit_declaration, parse_bytes  # noqa: PLC0415 - onnx is slow to import
    from fedproof.circuits.spec import TrainingSpec, load_spec  # noqa: PLC0415

    limit, told = parse_bytes(memory), []
    for name in names:
        if not isinstance(load_spec(name, project.circuits), TrainingSpec):
            continue
        with out.working(f"fitting {name} into {memory}") as say:
            fitted, written = fit_declaration(name, project, limit, say)
        plonk = fitted.spec.plonk
        told.append(
            f"{name}: {plonk.segments} segment(s) of 2^{plonk.logrows} rows, {plonk.columns} column(s), "
            f"at most {fitted.peak_bytes / 2**20:,.0f} MiB predicted"
            + (f"; written: {', '.join(f'{n}.toml' for n in written)}" if written else "")
        )
    return told


def _compile(name: str, store: CircuitStore, out: Output) -> dict[str, Any]:
    stages: list[str] = []

    def noting(say: Say) -> Say:
        def note(stage: str) -> None:
            stages.append(stage)
            say(stage)

        return note

    started = time.perf_counter()
    with out.working(f"compiling {name}") as say:
        circuit = store.get(name, progress=noting(say))
    return _facts(circuit) | {"compiled": bool(stages), "seconds": round(time.perf_counter() - started, 3)}


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A circuit of `fedproof circuits list`.")],
    json: Json = False,
) -> None:
    """Show a circuit's declaration and, where it is compiled, its manifest: slots, costs, settings.

    Example:

        fedproof circuits show digits-linear --json
    """
    from fedproof.circuits.spec import load_spec  # noqa: PLC0415
    from fedproof.circuits.store import CircuitStore  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    spec, store = load_spec(name, project.circuits), CircuitStore(project)
    declared: dict[str, Any] = {"name": name, "spec": spec.model_dump(mode="json")}
    if not store.is_compiled(name):
        document = declared | {"compiled": False, "manifest": None, "folder": None}
        out.result(document, f"{name}: {spec.kind}, not compiled (fedproof circuits compile {name})")
        return
    circuit = store.get(name)
    manifest = circuit.manifest
    document = declared | {
        "compiled": True,
        "manifest": manifest.model_dump(mode="json"),
        "folder": str(circuit.folder),
    }
    costs = manifest.costs.model_dump()
    rows = [
        ("kind", spec.kind),
        ("key", manifest.key),
        ("folder", circuit.folder),
        ("SRS", f"k={costs['logrows']}, {'development' if manifest.development else 'imported'}"),
        *(
            (
                f"segment {i}",
                f"{e.costs.cells:,} cells, {e.costs.proof_bytes:,} bytes, {_slot_names(e.slots)}",
            )
            for i, e in enumerate(manifest.segments)
        ),
        *([("shards", _shared_out(manifest.shards))] if manifest.shards else []),
        *((f"committed: {s.name}", f"{s.length} elements, {s.columns} point(s)") for s in manifest.slots),
        *((title.replace("_", " "), value) for title, value in costs.items()),
    ]
    out.table(document, (name, ""), rows)


@app.command("costs")
def costs(
    check: Annotated[
        bool, typer.Option("--check", help="Compare with circuits/costs.csv instead of writing it.")
    ] = False,
    json: Json = False,
) -> None:
    """Refresh the golden table circuits/costs.csv: exact costs of every circuit. Nothing is compiled.

    Example:

        fedproof circuits costs --check
    """
    from fedproof.circuits.costs import differences, measure_costs, read_costs, write_costs  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    path = project.circuits / "costs.csv"
    golden = read_costs(path) if check else []
    with out.working("measuring costs") as say:
        measured = measure_costs(project, say) if check else write_costs(project, path, say)
    if check and (changed := differences(golden, measured)):
        raise CallerError(
            f"{path.name} is stale: {'; '.join(changed)}", hint="if that is meant: fedproof circuits costs"
        )
    found = [row.model_dump() for row in measured]
    out.table({"path": str(path), "circuits": found}, list(found[0]), [list(row.values()) for row in found])


def _slot_names(slots: Sequence[SlotShape]) -> str:
    return " ".join(s.name for s in slots)


def _shared_out(s: Shards) -> str:
    return (
        f"{s.count} proofs of one circuit, {s.vectors} of {s.digits * s.columns} column(s) of digits each, "
        f"{s.rows:,} digits of {s.bits} bits a column"
    )


def _facts(circuit: Circuit) -> dict[str, Any]:
    return {
        "name": circuit.name,
        "key": circuit.manifest.key,
        "folder": str(circuit.folder),
        "development": circuit.manifest.development,
        "segments": circuit.manifest.spec.plonk.segments,
        "shards": circuit.manifest.spec.plonk.shards,
        "costs": circuit.manifest.costs.model_dump(),
    }
