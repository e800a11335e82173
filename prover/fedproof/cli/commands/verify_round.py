"""``fedproof verify-round``: whole rounds, from files alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedproof.cli.commands.circuits import compiled
from fedproof.cli.commands.offline import id_of, opened_store
from fedproof.cli.options import Json
from fedproof.cli.output import Output

if TYPE_CHECKING:
    from fedproof.circuits.store import Circuit


def verify_round(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Finished rounds, in their order.")
    ],
    model_id: Annotated[
        str | None,
        typer.Option("--model-id", help="The model they must be of; else whoever made them chose."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", help="Where updates lie; FEDPROOF_STORE, or FOLDER/store, unless given."),
    ] = None,
    json: Json = False,
) -> None:
    """Check rounds in folders: every signature, proof, batch, update and weight, and the model's hash.

    The circuits are those of this project, compiled here. Exit code 0: all of it holds, 3: something does
    not, with the file and the reason. What files can not prove is printed as well.

    Example:

        fedproof verify-round round1 round2
    """
    from fedproof.exchange.verify import verify_rounds  # noqa: PLC0415 - onnx and ezkl are slow to import

    out = Output(json=json)
    with out.working("verifying") as say:
        known: dict[str, Circuit] = {}

        def circuit(name: str) -> Circuit:
            if name not in known:
                say(f"circuit {name}")
                known[name] = compiled(name, out)
            return known[name]

        reports = verify_rounds(folders, circuit, model_id=id_of(model_id), store=opened_store(store))
    rows = [(r.plan.number, f.check, f.file, f.detail) for r in reports for f in r.findings]
    document = {"valid": True, "rounds": [r.document for r in reports]}
    out.table(document, ("round", "checked", "file", ""), rows)
    for caveat in dict.fromkeys(c for r in reports for c in r.caveats):
        out.warn(f"not proven: {caveat}")
