"""``fedproof verify-model``: a downloaded model against the registry on Ethereum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output
from fedproof.errors import CallerError

if TYPE_CHECKING:
    from fedproof.chain.networks import Network
    from fedproof.rounds.published import PublishedModel


def verify_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A published model.")],
    rpc: Annotated[str, typer.Option("--rpc", help="RPC URL of the L1.")],
    registry: Annotated[
        str | None,
        typer.Option("--registry", help="Address of the registry, from a source you trust; else the file's."),
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="The registry's network; else by the file's chain id.")
    ] = None,
    json: Json = False,
) -> None:
    """Recompute a model's hash from its weights and compare it with the one recorded on the L1.

    Takes the file, an RPC URL of the L1 and the SRS, nothing else. Exit code 0: they are the recorded
    weights, 3: they are not. Which registry and which model to trust is for you to know: give --registry, and
    compare the model id that is printed.

    Example:

        fedproof verify-model model.json --rpc https://... --registry 0x...
    """
    from fedproof.chain.deploy import read_only  # noqa: PLC0415 - web3 is slow to import
    from fedproof.chain.registry import RegistryClient  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.rounds.published import PublishedModel, verify_model  # noqa: PLC0415
    from fedproof.srs import SrsStore  # noqa: PLC0415

    out = Output(json=json)
    if urlsplit(rpc).scheme not in {"http", "https"} or not urlsplit(rpc).hostname:
        # not quoted: access tokens live in URLs
        raise CallerError("--rpc is not an http or https URL", hint="--rpc https://...")
    published = PublishedModel.load(file)
    address = registry or published.registry
    if address is None:
        raise CallerError(f"{file} names no registry", hint="give its address with --registry")
    if registry is None:
        out.warn(f"registry {address} is the one the file names: make sure that it is the right one")
    srs = SrsStore(Project.find().srs).get(published.logrows)
    client = read_only(_network(published, network), "l1", rpc)
    with out.working("recomputing the commitment"):
        record = verify_model(published, srs, RegistryClient(client, address))
    document = {
        "valid": True,
        "model_id": published.model_id,
        "round": published.round,
        "model_hash": "0x" + record.model_hash.hex(),
        "status": record.status.name.lower(),
        "registry": address,
        "l1_chain_id": client.chain.chain_id,
    }
    text = (
        f"valid: {file} is round {published.round} of model {published.model_id}, "
        f"{record.status.name.lower()} on {client.chain.name}"
    )
    out.result(document, text)


def _network(published: PublishedModel, name: str | None) -> Network:
    from fedproof.chain.networks import network, networks  # noqa: PLC0415

    if name is not None:
        return network(name)
    for found in networks().values():
        if found.l1.chain_id == published.l1_chain_id:
            return found
    raise CallerError(
        f"the file names the L1 chain {published.l1_chain_id}, which no network has",
        hint=f"give --network, one of: {', '.join(networks())}",
    )
