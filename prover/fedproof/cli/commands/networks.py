"""``fedproof networks``: the pairs of chains Fedproof knows."""

from __future__ import annotations

from typing import Annotated

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="The pairs of chains Fedproof knows.")


@app.command("show")
def show(
    name: Annotated[str | None, typer.Argument(help="One network; all of them unless given.")] = None,
    json: Json = False,
) -> None:
    """Show the networks: chain ids, LayerZero endpoint ids, confirmations and gas limits.

    Example:

        fedproof networks show sepolia --json
    """
    from fedproof.chain.networks import network, networks  # noqa: PLC0415 - web3's helpers are slow to import

    chosen = [network(name)] if name else list(networks().values())
    rows = [
        (n.name, side, c.name, str(c.chain_id), str(c.lz_eid), c.confirmations, c.transaction_gas_limit)
        for n in chosen
        for side, c in (("l2", n.l2), ("l1", n.l1))
    ]
    head = ("network", "side", "chain", "chain id", "LayerZero id", "confirmations", "gas a transaction")
    document = {"networks": {n.name: n.model_dump(mode="json", exclude={"name"}) for n in chosen}}
    Output(json=json).table(document, head, rows)
