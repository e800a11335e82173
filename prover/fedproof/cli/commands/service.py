"""``fedproof aggregate``, ``fedproof serve``: what runs for as long as rounds do."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedproof.cli.commands.circuits import compiled
from fedproof.cli.options import Json, ModelName, ProverName
from fedproof.cli.output import Output
from fedproof.errors import CallerError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from fedproof.jobs import JobStore
    from fedproof.project import Project
    from fedproof.service.health import Check
    from fedproof.service.http import HttpService

_GIB = 1 << 30
Host = Annotated[str, typer.Option("--host", help="Address to serve on; nobody is asked who they are.")]
LeastFree = Annotated[
    float, typer.Option("--least-free", min=0, help="GiB free on the disk, below which it is not ready.")
]
Stuck = Annotated[
    float, typer.Option("--stuck", min=1, help="Seconds a job may wait while none is worked on.")
]


def aggregate(
    model: ModelName = None,
    model_id: Annotated[
        str | None, typer.Option("--model-id", help="In place of --model: a model registered elsewhere.")
    ] = None,
    deployment: Annotated[
        str, typer.Option("--deployment", help="With --model-id: the deployment of its hub.")
    ] = "devnet",
    circuit: Annotated[
        str | None, typer.Option("--circuit", help="With --model-id: its training circuit.")
    ] = None,
    average: Annotated[
        str | None, typer.Option("--average", help="With --model-id: its average; NAME-average unless given.")
    ] = None,
    genesis: Annotated[
        Path | None, typer.Option("--genesis", help="The published first model, to keep those that follow.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", help="Where updates lie: a folder, s3://, https://. FEDPROOF_STORE unless given."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where models, proofs and outcomes are kept.")
    ] = None,
    account: Annotated[
        int | None, typer.Option("--account", min=0, max=31, help="On a devnet: which account pays.")
    ] = None,
    prover: ProverName = None,
    once: Annotated[
        bool, typer.Option("--once", help="Do what can be done now, and end; fail if that is not all.")
    ] = False,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="End after as many rounds.")] = None,
    poll: Annotated[float, typer.Option("--poll", min=0.05, help="Seconds between two looks.")] = 5.0,
    patience: Annotated[
        float, typer.Option("--patience", min=0, help="Seconds to wait for an update before telling.")
    ] = 600.0,
    standby: Annotated[
        float, typer.Option("--standby", min=0, help="Seconds a round is left to other aggregators first.")
    ] = 0.0,
    serve: Annotated[
        int | None, typer.Option("--serve", min=0, max=65535, help="Serve metrics and health on this port.")
    ] = None,
    host: Host = "127.0.0.1",
    least_free: LeastFree = 1.0,
    stuck: Stuck = 600.0,
    json: Json = False,
) -> None:
    """End the rounds of a model: fetch the updates, check each, average, prove, finalize; until told to stop.

    Several may serve one model; who comes too late loses nothing but gas. Killed and started again, it goes
    on where the chain says, and proves nothing twice. SIGTERM ends it cleanly.

    Example:

        fedproof aggregate --once
    """
    from fedproof.cli import aggregation  # noqa: PLC0415 - slow to import
    from fedproof.cli.commands.offline import opened_store  # noqa: PLC0415
    from fedproof.cli.proving import proving  # noqa: PLC0415
    from fedproof.metrics import jobs_registry  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.service import checks  # noqa: PLC0415
    from fedproof.service.aggregator import AggregatorService, Pace  # noqa: PLC0415
    from fedproof.service.gauges import Gauges  # noqa: PLC0415
    from fedproof.service.outcomes import Journal  # noqa: PLC0415
    from fedproof.service.settling import Settler  # noqa: PLC0415
    from fedproof.service.stopping import Stop, Stopped  # noqa: PLC0415
    from fedproof.srs import SrsStore  # noqa: PLC0415

    out, project, stop = Output(json=json), Project.find(), Stop()
    pace = Pace(poll, max(60.0, poll), patience)
    if model_id is None:
        subject, place = aggregation.of_federation(project, model, folder)
    elif model is None:
        subject, place = aggregation.of_model_id(project, model_id, deployment, circuit, average, folder)
    else:
        raise CallerError("--model and --model-id name the model twice")
    hub = aggregation.hub_of(place, account)
    pair = (compiled(subject.training, out), compiled(subject.average, out))
    with ExitStack() as open_things:
        chosen = open_things.enter_context(proving(project, prover))
        registry = jobs_registry(chosen.store)
        models = aggregation.models_of(subject, place, hub, pair, chosen, opened_store(store))
        if genesis is not None:
            aggregation.take_genesis(models, genesis)
        gauges = Gauges(registry)
        settler = Settler(models.averaging, models, stop, gauges.stage, standby)
        service = AggregatorService(settler, Journal(subject.folder / "outcomes.jsonl"), stop, pace, gauges)
        if serve is not None:
            chain = checks.chain_answers(lambda: checks.impatient(place.chains.l2), place.deployment.hub)
            ready = _common(project, chosen.store, least_free, stuck) | {
                "chain": chain,
                "srs": checks.srs_is_there(SrsStore(project.srs), [c.manifest.costs.logrows for c in pair]),
                "loop": checks.loop_turns(service),
                "rounds": checks.rounds_end(service),
            }
            live = {"loop": checks.loop_turns(service)}
            open_things.enter_context(_serving(registry, live, ready, host, serve))
        open_things.enter_context(stop.on_signals())
        with suppress(Stopped):
            service.run(rounds, once=once)
    told = [o.document for o in service.journal.newest]
    rows = [(o["round"], o["kind"], o["detail"], o["gas"], o["model"]) for o in told]
    document = {
        "model_id": "0x" + subject.model_id.hex(),
        "folder": str(subject.folder),
        "stopped": stop.requested,
        "outcomes": told,
    }
    if rows:
        out.table(document, ("round", "outcome", "", "gas", "model"), rows)
    else:
        out.result(document, "no round has ended")


def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 9464,
    host: Host = "127.0.0.1",
    deployment: Annotated[
        str | None, typer.Option("--deployment", help="Look at the chain and hub of this deployment, too.")
    ] = None,
    least_free: LeastFree = 1.0,
    stuck: Stuck = 600.0,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, help="End after so long; else when told to.")
    ] = None,
    json: Json = False,
) -> None:
    """Serve metrics of this project's jobs (/metrics) and health (/healthz, /readyz) over HTTP.

    Example:

        fedproof serve --port 9464 --deployment devnet
    """
    import math  # noqa: PLC0415

    from fedproof.jobs import open_jobs  # noqa: PLC0415 - slow to import
    from fedproof.metrics import jobs_registry  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.service import checks  # noqa: PLC0415
    from fedproof.service.stopping import Stop  # noqa: PLC0415
    from fedproof.srs import SrsStore  # noqa: PLC0415

    out, project, stop = Output(json=json), Project.find(), Stop()
    with closing(open_jobs(project)) as store:
        ready = _common(project, store, least_free, stuck)
        ready["srs"] = checks.srs_is_there(SrsStore(project.srs))
        if deployment is not None:
            ready["chain"] = _chain(deployment)
        with _serving(jobs_registry(store), {}, ready, host, port) as http, stop.on_signals():
            stop.sleep(math.inf if seconds is None else seconds)
            document = {"url": http.url, "stopped": stop.requested}
    out.result(document, f"served {document['url']}")


def _serving(
    registry: CollectorRegistry, live: dict[str, Check], ready: dict[str, Check], host: str, port: int
) -> HttpService:
    from fedproof.cli.logs import log  # noqa: PLC0415
    from fedproof.service.health import Health  # noqa: PLC0415
    from fedproof.service.http import PATHS, HttpService, application  # noqa: PLC0415

    http = HttpService(application(registry, Health(live), Health(ready)), host, port)
    log().info("serving", url=http.url, paths=" ".join(PATHS))
    return http


def _common(project: Project, store: JobStore, least_free: float, stuck: float) -> dict[str, Check]:
    from fedproof.service import checks  # noqa: PLC0415

    return {
        "disk": checks.disk_has_room(project.build, int(least_free * _GIB)),
        "queue": checks.queue_moves(store, stuck),
    }


def _chain(name: str) -> Check:
    """Check the chain of a deployment; it need not answer yet."""
    from fedproof.chain.client import ChainClient  # noqa: PLC0415
    from fedproof.chain.deployment import load_deployment  # noqa: PLC0415
    from fedproof.chain.devnet import Devnet  # noqa: PLC0415
    from fedproof.chain.networks import rpc_url  # noqa: PLC0415
    from fedproof.service import checks  # noqa: PLC0415

    found = load_deployment(name)
    network = found.the_network()
    url = Devnet().url("l2") if network.is_devnet else rpc_url(network, "l2")
    client = ChainClient(network.l2, url)
    return checks.chain_answers(lambda: checks.impatient(client), found.hub)
