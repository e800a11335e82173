"""``fedproof demo``: the whole pipeline on real data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fedproof.cli.options import Json, ProverName
from fedproof.cli.output import Output, console_on


def demo(
    circuit: Annotated[
        str, typer.Option("--circuit", help="Training circuit; NAME-average must exist too.")
    ] = "digits-mlp",
    trainers: Annotated[
        int, typer.Option("--trainers", min=1, max=16, help="Over how many to split the digits.")
    ] = 4,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How many rounds to play.")] = 4,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Local steps of a trainer in a round.")] = 2,
    held_out: Annotated[
        int, typer.Option("--held-out", min=1, help="Samples held out for the accuracy.")
    ] = 357,
    seed: Annotated[int, typer.Option("--seed", help="Of the split of the data.")] = 4,
    provers: Annotated[int, typer.Option("--provers", min=1, max=16, help="Steps proven at a time.")] = 2,
    prover: ProverName = None,
    keep_devnet: Annotated[
        bool, typer.Option("--keep-devnet", help="Leave the chains running at the end.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="Of all it writes; emptied first. [build/demo]"),
    ] = None,
    json: Json = False,
) -> None:
    """Run whole rounds on scikit-learn's digits: train, prove, verify on an L2, record on an L1.

    Both chains are local and emulated. The record goes to build/demo/run.json, a page to
    build/demo/report.html, or into the folder given.

    Example:

        fedproof demo --circuit digits-linear --rounds 3
    """
    from fedproof.demo import DemoOptions, run_demo  # noqa: PLC0415 - slow to import
    from fedproof.project import Project  # noqa: PLC0415

    options = DemoOptions(
        circuit=circuit,
        trainers=trainers,
        rounds=rounds,
        steps=steps,
        held_out=held_out,
        seed=seed,
        provers=provers,
        prover=prover,
        keep_devnet=keep_devnet,
        output=output,
    )
    # With --json stdout holds the record and nothing else.
    console = console_on(sys.stderr if json else sys.stdout)
    record = run_demo(Project.find(), options, console)
    Output(json=json).result(record.model_dump(mode="json"))
