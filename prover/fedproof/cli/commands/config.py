"""``fedproof config``: the settings in force."""

from __future__ import annotations

from typing import Annotated

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output


def config(
    sources: Annotated[
        bool, typer.Option("--sources", help="Say where each value comes from and what it is for.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the settings in force. All come from environment variables; secrets are not shown.

    Example:

        fedproof config --sources
    """
    from fedproof.cli.settings import resolve  # noqa: PLC0415

    found = resolve()
    document = {
        "settings": [
            {"name": r.setting.variable, "value": r.value, "source": r.source, "help": r.setting.help}
            for r in found
        ]
    }
    rows: list[tuple[object, ...]] = [(r.setting.variable, r.value) for r in found]
    head: tuple[str, ...] = ("setting", "value")
    if sources:
        rows = [(*row, r.source, r.setting.help) for row, r in zip(rows, found, strict=True)]
        head = (*head, "from", "what it is")
    Output(json=json).table(document, head, rows)
