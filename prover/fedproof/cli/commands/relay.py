"""``fedproof relay``: a finalized hash, from the L2 to the L1."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fedproof.cli.options import Json, ModelName
from fedproof.cli.output import Output


def relay(
    number: Annotated[int, typer.Argument(metavar="ROUND", min=1, help="A finalized round.")],
    model: ModelName = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Seconds to wait for it on a public network.")
    ] = 3600,
    json: Json = False,
) -> None:
    """Send a round's model hash to the registry on the L1 by LayerZero, and wait until it is there.

    On a devnet a local worker plays LayerZero's verifiers and executor (emulated). Repeating it is harmless.

    Example:

        fedproof relay 1
    """
    from fedproof.chain.deploy import pathway  # noqa: PLC0415 - web3 is slow to import
    from fedproof.chain.hub import Phase  # noqa: PLC0415
    from fedproof.chain.registry import RegistryClient  # noqa: PLC0415
    from fedproof.cli import federation as fed  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.relay.layerzero.sender import RelayClient  # noqa: PLC0415
    from fedproof.relay.layerzero.worker import LayerZeroWorker  # noqa: PLC0415

    out = Output(json=json)
    federation, _ = fed.find(Project.find(), model)
    place = fed.Place.of(federation)
    registry = RegistryClient(place.chains.l1, place.deployment.registry)
    place.require_phase(federation, number, Phase.FINALIZED, "only a finalized round has a hash to send")
    delivered: dict[str, Any] | None = None
    with out.working(f"relaying round {number}") as say:
        path = pathway(place.deployment, place.chains)
        sent = RelayClient(path).relay(federation.id_bytes, number)
        say("sent")
        if place.deployment.the_network().is_devnet:
            delivery = LayerZeroWorker(path, report=say).deliver_transaction(sent.tx)
            delivered = {"tx": delivery.tx, "gas": delivery.gas}
            record = registry.record_of(federation.id_bytes, number)
        else:
            record = registry.await_record(federation.id_bytes, number, timeout_s=timeout)
    document = {
        "model_id": federation.model_id,
        "round": number,
        "sent": {"tx": sent.tx, "gas": sent.gas, "fee_wei": sent.fee},
        "delivered": delivered,
        "registry": place.deployment.registry,
        "model_hash": "0x" + record.model_hash.hex(),
        "status": record.status.name.lower(),
    }
    text = f"round {number} on the L1: 0x{record.model_hash.hex()} ({record.status.name.lower()})"
    out.result(document, text)
