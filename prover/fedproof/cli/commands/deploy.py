"""``fedproof deploy``: the contracts on a pair of chains."""

from __future__ import annotations

from typing import Annotated

import typer

from fedproof.cli.commands.circuits import compiled
from fedproof.cli.options import DeploymentName, Json, NetworkName
from fedproof.cli.output import Output
from fedproof.errors import CallerError


def deploy(
    network: NetworkName = "devnet",
    name: DeploymentName = None,
    circuit: Annotated[
        list[str] | None,
        typer.Option(
            "--circuit", help="Deploy the verifier of this circuit; repeat it. All circuits unless given."
        ),
    ] = None,
    average: Annotated[
        list[str] | None, typer.Option("--average", help="The same, for the averages beside the trainings.")
    ] = None,
    json: Json = False,
) -> None:
    """Deploy the hub, the verifiers, the registry and the relay between them, and record where they are.

    Run again, it continues where it stopped, repairs the configuration, and adds verifiers. A development SRS
    is refused anywhere but on a devnet.

    Example:

        fedproof deploy --network devnet --circuit digits-linear --average digits-linear-average
    """
    from fedproof.chain.circuit_verifiers import verifier_spec  # noqa: PLC0415 - web3 is slow to import
    from fedproof.chain.deploy import deploy as deploy_all  # noqa: PLC0415
    from fedproof.chain.deployment import deployment_path  # noqa: PLC0415
    from fedproof.chain.networks import network as find_network  # noqa: PLC0415
    from fedproof.circuits.spec import available, load_spec  # noqa: PLC0415
    from fedproof.cli.chains import connect  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    chosen = [*(circuit or []), *(average or [])] or available(project.circuits)
    for item in chosen:
        load_spec(item, project.circuits)
    for item in average or []:
        if load_spec(item, project.circuits).kind != "average":
            raise CallerError(f"--average {item}: not a circuit of kind 'average'")
    found = find_network(network)
    name = name or network
    path = deployment_path(name)
    chains = connect(found)
    specs = [verifier_spec(compiled(item, out)) for item in chosen]
    with out.working(f"deploying to {network}", chatty=True) as say:
        made = deploy_all(name, chains, specs, progress=say)
    document = made.model_dump(mode="json", exclude={"abis"}) | {
        "path": str(path),
        "hub": made.hub,
        "sender": made.sender,
        "registry": made.registry,
        "receiver": made.receiver,
        "gas": {"l2": made.l2.gas(), "l1": made.l1.gas()},
    }
    rows = [
        ("l2", "hub", made.hub),
        ("l2", "LayerZero sender", made.sender),
        *(("l2", f"verifier of {v.circuit} ({v.kind})", v.adapter.address) for v in made.verifiers.values()),
        ("l1", "model registry", made.registry),
        ("l1", "LayerZero receiver", made.receiver),
    ]
    if not json:
        for line in made.emulated:
            out.warn(f"emulated: {line}")
    out.table(document, ("side", "contract", "address"), rows)
