"""``fedproof srs``: the structured reference strings that proofs rest on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output, Say

if TYPE_CHECKING:
    from fedproof.srs import Srs, StageProgress

app = typer.Typer(no_args_is_help=True, help="The structured reference strings (SRS) that proofs rest on.")

_DEVELOPMENT = "whoever made a development SRS can forge proofs: a devnet takes it, nothing else does"


@app.command("development")
def development(
    k: Annotated[int, typer.Argument(metavar="K", help="log2 of the rows: logrows of the circuits.")],
    json: Json = False,
) -> None:
    """Make a development SRS of 2^K rows. Seconds at 14, a minute at 17. Refused outside a devnet.

    Example:

        fedproof srs development 13
    """
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.srs import SrsStore  # noqa: PLC0415 - ezkl is slow to import

    out, store = Output(json=json), SrsStore(Project.find().srs)
    with out.working(f"development SRS of k={k}") as say:
        made = store.ensure_development(k, _stages(say))
    out.warn(_DEVELOPMENT)
    out.result(_facts(made), f"development SRS of k={k}: {made.path}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The SRS file, in halo2's format, of exactly 2^k rows.")],
    k: Annotated[int, typer.Option("--k", help="log2 of its rows.")],
    sha256: Annotated[str, typer.Option("--sha256", help="Its SHA-256, from the ceremony's own site.")],
    source: Annotated[str, typer.Option("--source", help="Where it came from, for the record.")] = "imported",
    json: Json = False,
) -> None:
    """Check an SRS of a public ceremony, every point and every pairing relation, and keep a copy.

    Example:

        fedproof srs import kzg14.srs --k 14 --sha256 1f3c... --source https://...
    """
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.srs import SrsStore  # noqa: PLC0415

    out, store = Output(json=json), SrsStore(Project.find().srs)
    with out.working(f"checking {file.name}") as say:
        kept = store.put_imported(file, k, sha256, source=source, progress=_stages(say))
    out.result(_facts(kept), f"imported SRS of k={k}: {kept.path}")


@app.command("show")
def show(json: Json = False) -> None:
    """Show the SRS of this project, after comparing each file with its recorded SHA-256.

    Example:

        fedproof srs show --json
    """
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.srs import SrsRecord, SrsStore  # noqa: PLC0415

    store = SrsStore(Project.find().srs)
    found = []
    for path in sorted(store.folder.glob("k[0-9][0-9].srs")):
        srs = store.get(int(path.stem[1:]))
        record = SrsRecord.model_validate_json(path.with_suffix(".json").read_bytes())
        found.append(_facts(srs) | {"source": record.source, "created": record.created.isoformat()})
    kinds = ("imported", "development")
    rows = [(s["k"], kinds[s["development"]], s["sha256"], s["source"]) for s in found]
    document = {"folder": str(store.folder), "srs": found}
    Output(json=json).table(document, ("k", "kind", "SHA-256", "source"), rows)


def _facts(srs: Srs) -> dict[str, Any]:
    return {
        "k": srs.k,
        "development": srs.development,
        "sha256": srs.digest,
        "bytes": srs.path.stat().st_size,
        "path": str(srs.path),
    }


def _stages(say: Say) -> StageProgress:
    shown = {"": -1}

    def progress(stage: str, fraction: float) -> None:
        # Log lines are for people too: every quarter is enough.
        quarter = int(fraction * 4)
        if shown.get(stage) != quarter:
            shown[stage] = quarter
            say(f"{stage} {fraction:.0%}" if fraction else stage)

    return progress
