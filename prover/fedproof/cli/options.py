"""Options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, errors included.")]
NetworkName = Annotated[str, typer.Option("--network", help="A network of `fedproof networks show`.")]
DeploymentName = Annotated[
    str | None, typer.Option("--name", help="Name of the deployment; the network's name unless given.")
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="The name a model is registered under; the only one unless given."),
]
ProverName = Annotated[
    str | None,
    typer.Option("--prover", help="cpu, gpu, ray or ray://HOST:PORT; FEDPROOF_PROVER, or cpu, unless given."),
]
