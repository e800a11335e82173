"""``fedproof devnet``: two local chains."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output

if TYPE_CHECKING:
    from fedproof.chain.devnet import ChainStatus

app = typer.Typer(
    no_args_is_help=True,
    help="Two local chains that play Arbitrum and Ethereum (emulated, in memory): up, down, status.",
)


@app.command("up")
def up(json: Json = False) -> None:
    """Start both chains and wait until they answer. Does nothing where they run already.

    Ports: FEDPROOF_DEVNET_L2_PORT and FEDPROOF_DEVNET_L1_PORT, else 18545 and 18546.

    Example:

        fedproof devnet up && fedproof deploy
    """
    from fedproof.chain.devnet import Devnet  # noqa: PLC0415 - web3 is slow to import

    out = Output(json=json)
    with out.working("starting the devnet"):
        found = Devnet().up()
    _print(out, found)


@app.command("down")
def down(json: Json = False) -> None:
    """Stop the chains that `up` started, and nothing else. What they held is gone.

    Example:

        fedproof devnet down
    """
    from fedproof.chain.devnet import Devnet  # noqa: PLC0415

    _print(Output(json=json), Devnet().down())


@app.command("status")
def status(json: Json = False) -> None:
    """Show whether the chains run, where they listen, and their newest block.

    Example:

        fedproof devnet status --json
    """
    from fedproof.chain.devnet import Devnet  # noqa: PLC0415

    _print(Output(json=json), Devnet().status())


def _print(out: Output, found: list[ChainStatus]) -> None:
    rows = [(s.side, s.state, s.url, str(s.chain_id), s.pid and str(s.pid), s.block) for s in found]
    head = ("side", "state", "url", "chain id", "pid", "block")
    out.table({"chains": [asdict(s) for s in found]}, head, rows)
