"""All commands, put together. Heavy libraries are imported by the commands that need them, when they run."""

from __future__ import annotations

from typing import Annotated

import typer

from fedproof.cli.commands import (
    circuits,
    config,
    demo,
    deploy,
    devnet,
    jobs,
    models,
    networks,
    offline,
    proofs,
    provers,
    relay,
    rounds,
    service,
    srs,
    tuning,
    verify_round,
    version,
)

app = typer.Typer(
    name="fedproof",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more, libraries included.")] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=version.print_and_exit, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Prove rounds of federated learning, verify them on Arbitrum, record them on Ethereum.

    Exit codes: 0 done, 2 wrong input, 3 a proof or hash does not check out, 70 it cannot succeed as it
    stands, 75 try again later, 130 interrupted. `docs/operating.md` explains them and the environment
    variables.

    A first proof, offline:

        fedproof circuits compile digits-linear
        fedproof prove digits-linear --input step.json --output proof.json
        fedproof verify digits-linear proof.json
    """
    del show_version  # its callback has done the work
    from fedproof.cli.logs import configure  # noqa: PLC0415 - --help needs no logging

    configure(verbose=verbose)


app.add_typer(circuits.app, name="circuits")
circuits.app.command("explain")(tuning.explain)
circuits.app.command("tune")(tuning.tune)
app.add_typer(srs.app, name="srs")
app.add_typer(provers.app, name="provers")
app.command("prove")(proofs.prove)
app.command("verify")(proofs.verify)
app.add_typer(jobs.app, name="jobs")
app.add_typer(devnet.app, name="devnet")
app.command("deploy")(deploy.deploy)
app.add_typer(rounds.app, name="round")
app.command("aggregate")(service.aggregate)
app.command("serve")(service.serve)
app.command("relay")(relay.relay)
app.command("verify-model")(models.verify_model)
app.add_typer(offline.app, name="offline")
app.command("verify-round")(verify_round.verify_round)
app.command("demo")(demo.demo)
app.add_typer(networks.app, name="networks")
app.command("config")(config.config)
app.command("version")(version.version)
