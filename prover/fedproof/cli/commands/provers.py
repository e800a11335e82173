"""``fedproof provers``: what can prove on this machine."""

from __future__ import annotations

from dataclasses import asdict

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="What can prove on this machine.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List the provers, what each proves with, and why one is not offered here.

    A prover is chosen by `--prover`, or by FEDPROOF_PROVER. All proofs on the machine together have the
    memory that FEDPROOF_MEMORY says.

    Example:

        fedproof provers list
    """
    from fedproof.provers.cpu.backend import cores  # noqa: PLC0415 - not for --help
    from fedproof.provers.memory import budget_bytes, machine_bytes  # noqa: PLC0415
    from fedproof.provers.memory.ledger import default_folder  # noqa: PLC0415
    from fedproof.provers.registry import offers  # noqa: PLC0415

    found = offers()
    document = {
        "provers": [asdict(o) for o in found],
        "cores": cores(),
        "memory_bytes": machine_bytes(),
        "budget_bytes": budget_bytes(),
        "ledger": str(default_folder()),
    }
    rows = [(o.name, "yes" if o.available else "no", o.toolchain, o.reason) for o in found]
    Output(json=json).table(document, ("prover", "offered", "proves with", "why"), rows)
