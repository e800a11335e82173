"""``fedproof round``: rounds of a model on a deployment, played with local trainers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.commands.circuits import compiled
from fedproof.cli.options import Json, ModelName, ProverName
from fedproof.cli.output import Output, Say
from fedproof.errors import CallerError

if TYPE_CHECKING:
    from fedproof.chain.client import Receipt
    from fedproof.chain.hub import RoundState
    from fedproof.cli.federation import Federation, Place
    from fedproof.rounds.driver import RoundDriver, RoundOutcome

app = typer.Typer(
    no_args_is_help=True,
    help="Rounds of a model on a devnet with local trainers. On a public network each trainer calls "
    "`fedproof.rounds.session.TrainerSession` with a key of its own.",
)

_FIRST_TRAINER, _FIRST_GUARDIAN, _GUARDIANS, _THRESHOLD = 1, 20, 3, 2


@app.command("register")
def register(
    circuit: Annotated[str, typer.Argument(metavar="NAME", help="The training circuit of the model.")],
    average: Annotated[
        str | None, typer.Option("--average", help="Its average circuit; NAME-average unless given.")
    ] = None,
    deployment: Annotated[
        str, typer.Option("--deployment", help="A deployment of `fedproof deploy`.")
    ] = "devnet",
    model: ModelName = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="A trainer's data, .npz with x and y; repeat it. Digits unless given."),
    ] = None,
    trainers: Annotated[
        int, typer.Option("--trainers", min=1, max=16, help="Over how many to split the digits.")
    ] = 4,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Local steps of a trainer in a round.")] = 2,
    period: Annotated[int, typer.Option("--period", min=1, help="Seconds of each phase of a round.")] = 3600,
    json: Json = False,
) -> None:
    """Register a model on the hub: its circuits, first weights, trainers and their datasets.

    Accounts 1 and up of the devnet are the trainers, 20 to 22 the guardians.

    Example:

        fedproof round register digits-linear --trainers 4
    """
    from fedproof.chain.accounts import devnet_account  # noqa: PLC0415 - these rooms are slow to import
    from fedproof.cli import federation as fed  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.rounds import Dataset, ModelVector  # noqa: PLC0415
    from fedproof.rounds.registration import model_config, register_model  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    name = model or circuit
    fed.folder_of(project, name)  # told before anything is looked up or compiled
    place = fed.Place.reach(deployment)
    if not place.deployment.the_network().is_devnet:
        raise CallerError(
            f"local trainers are accounts of a devnet, {deployment} is on {place.deployment.network}",
            hint="on a public network use fedproof.rounds.registration and TrainerSession from Python",
        )
    folder = fed.clear(project, name, place)
    pair = (compiled(circuit, out), compiled(average or f"{circuit}-average", out))
    shards = _shards(project, data, trainers)
    with out.working("registering the model") as say:
        genesis = ModelVector.from_floats(pair[0], _first_weights(project, circuit))
        datasets = [Dataset.from_floats(pair[0], x, y) for x, y in shards]
        accounts = [devnet_account(_FIRST_TRAINER + i) for i in range(len(datasets))]
        config = model_config(
            *pair,
            genesis,
            place.deployment,
            guardians=[devnet_account(_FIRST_GUARDIAN + i).address for i in range(_GUARDIANS)],
            guardian_threshold=_THRESHOLD,
            min_trainers=max(1, len(accounts) - 1),
            period_s=period,
        )
        if steps > config.max_steps:
            raise CallerError(f"{steps} steps a round; the average holds updates of {config.max_steps}")
        model_id, _ = register_model(place.hub, config, [a.address for a in accounts])
        for account, dataset in zip(accounts, datasets, strict=True):
            dataset.save(folder / "trainers" / account.address / "dataset.json")
        made = fed.Federation(
            deployment=deployment,
            hub=place.deployment.hub,
            genesis=place.deployment.l2.genesis,
            model_id="0x" + model_id.hex(),
            training=pair[0].name,
            average=pair[1].name,
            steps=steps,
            trainers=tuple(range(_FIRST_TRAINER, _FIRST_TRAINER + len(accounts))),
        )
        driver = fed.driver(made, folder, place, pair, _progress(say))
        driver.keep_model(genesis, 0)
        for session in driver.sessions:
            say(f"dataset of {session.address}")
            session.register()
        made.save(folder)
    document = made.model_dump(mode="json") | {
        "folder": str(folder),
        "addresses": [a.address for a in accounts],
        "batches": [len(d) for d in datasets],
    }
    out.result(document, f"registered {folder.name} as {made.model_id}: {len(accounts)} trainers")


@app.command("status")
def status(model: ModelName = None, json: Json = False) -> None:
    """Show where the newest round of a model stands.

    Example:

        fedproof round status --json
    """
    out = Output(json=json)
    federation, _, place = _reach(model)
    number = place.hub.latest_round(federation.id_bytes)
    if number == 0:
        nothing = {"model_id": federation.model_id, "round": None}
        out.result(nothing, "no round was opened yet (fedproof round open, or round run)")
        return
    state = place.hub.round(federation.id_bytes, number)
    facts = _round_facts(state, len(federation.trainers))
    document = {"model_id": federation.model_id, "round": facts}
    out.table(document, (f"round {number}", ""), [(k.replace("_", " "), v) for k, v in facts.items()])


@app.command("open")
def open_(model: ModelName = None, json: Json = False) -> None:
    """Open the next round. `round run` does it by itself.

    Example:

        fedproof round open
    """
    out = Output(json=json)
    federation, _, place = _reach(model)
    number, receipt = place.hub.open_round(federation.id_bytes)
    document = {"model_id": federation.model_id, "round": number, **_receipt(receipt)}
    out.result(document, f"round {number} is open ({receipt.gas:,} gas)")


@app.command("run")
def run(
    model: ModelName = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How many rounds to play.")] = 1,
    leave_open: Annotated[
        bool,
        typer.Option("--leave-open", help="Play the trainers only; an aggregator ends the round."),
    ] = False,
    prover: ProverName = None,
    json: Json = False,
) -> None:
    """Play rounds to their end: train, commit, prove, submit, average, finalize.

    A round that was interrupted goes on where it stopped; nothing is proven twice.

    Example:

        fedproof round run --rounds 3
    """
    from fedproof.cli import federation as fed  # noqa: PLC0415
    from fedproof.cli.commands.offline import opened_store  # noqa: PLC0415
    from fedproof.cli.proving import proving  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out = Output(json=json)
    if leave_open and rounds > 1:
        raise CallerError("--leave-open plays one round", hint="the next one opens when it has ended")
    federation, folder, place = _reach(model)
    pair = (compiled(federation.training, out), compiled(federation.average, out))
    project = Project.find()
    if leave_open:
        with proving(project, prover) as by, out.working("round") as say:
            driver = fed.driver(federation, folder, place, pair, _progress(say), by, opened_store(None))
            number = driver.run(finalize=False).number
        document = {"model_id": federation.model_id, "round": number}
        out.result(document, f"round {number}: everyone has submitted (fedproof aggregate ends it)")
        return
    played = []
    with proving(project, prover) as by:
        for _ in range(rounds):
            with out.working("round") as say:
                driver = fed.driver(federation, folder, place, pair, _progress(say), by, opened_store(None))
                outcome = driver.run()
            played.append(_published(driver, outcome, folder, place))
    rows = [(p["round"], p["model_hash"], p["gas"], f"{p['seconds']:.1f} s", p["model"]) for p in played]
    head = ("round", "model hash", "finalize gas", "time", "model")
    out.table({"model_id": federation.model_id, "rounds": played}, head, rows)


@app.command("cancel")
def cancel(
    number: Annotated[
        int | None, typer.Argument(metavar="ROUND", min=1, help="The newest one unless given.")
    ] = None,
    model: ModelName = None,
    json: Json = False,
) -> None:
    """End a round whose deadline has passed and that cannot be finalized any more. Bonds come back.

    Example:

        fedproof round cancel 3
    """
    from fedproof.chain.hub import Phase  # noqa: PLC0415

    out = Output(json=json)
    federation, _, place = _reach(model)
    number = number or place.hub.latest_round(federation.id_bytes)
    place.require_phase(federation, number, Phase.EXPIRED, "only a round that missed a deadline is cancelled")
    receipt = place.hub.cancel(federation.id_bytes, number)
    document = {"model_id": federation.model_id, "round": number, **_receipt(receipt)}
    out.result(document, f"round {number} is cancelled ({receipt.gas:,} gas)")


def _reach(model: str | None) -> tuple[Federation, Path, Place]:
    from fedproof.cli import federation as fed  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    found, folder = fed.find(Project.find(), model)
    return found, folder, fed.Place.of(found)


def _shards(project: Any, files: list[Path] | None, trainers: int) -> list[tuple[Any, Any]]:  # noqa: ANN401
    from fedproof.cli.inputs import read_samples  # noqa: PLC0415
    from fedproof.export import load_attribute  # noqa: PLC0415 - imports torch

    if files:
        return [read_samples(file) for file in files]
    split = load_attribute("models/digits.py:split", project.root)
    return list(split(trainers, 357, 0)[0])


def _first_weights(project: Any, circuit: str) -> Any:  # noqa: ANN401 - an array
    from fedproof.circuits import TrainingSpec, load_spec  # noqa: PLC0415
    from fedproof.circuits.program import training_step  # noqa: PLC0415
    from fedproof.export import flat_parameters  # noqa: PLC0415

    spec = load_spec(circuit, project.circuits)
    if not isinstance(spec, TrainingSpec):
        raise CallerError(f"{circuit!r} is a circuit of kind {spec.kind!r}, a training circuit is needed")
    return flat_parameters(training_step(spec, project.root).module)


def _progress(say: Say) -> Any:  # noqa: ANN401 - the driver's Progress
    return lambda stage, done, total: say(f"{stage} {done}/{total}")


def _published(driver: RoundDriver, outcome: RoundOutcome, folder: Path, place: Place) -> dict[str, Any]:
    from fedproof.rounds.published import PublishedModel  # noqa: PLC0415

    path = folder / "published" / f"round{outcome.number}.json"
    PublishedModel.of(
        driver.sessions[0].circuit,
        outcome.model,
        driver.model_id,
        outcome.number,
        registry=place.deployment.registry,
        l1_chain_id=place.deployment.l1.chain_id,
    ).save(path)
    return {
        "round": outcome.number,
        "model_hash": "0x" + outcome.model_hash.hex(),
        "gas": outcome.finalized.gas if outcome.finalized else None,
        "seconds": round(sum(outcome.seconds.values()), 3),
        "stages": {stage: round(seconds, 3) for stage, seconds in outcome.seconds.items()},
        "model": str(path),
    }


def _round_facts(state: RoundState, trainers: int) -> dict[str, Any]:
    found = any(state.model_hash)
    return {
        "number": str(state.number),
        "phase": state.phase.name.lower(),
        "trainers": trainers,
        "committed": state.committed,
        "submitted": state.submitted,
        "left_out": state.left_out,
        "steps": state.total_steps,
        "commit_ends": _time(state.commit_ends_at),
        "submit_ends": _time(state.submit_ends_at),
        "finalize_ends": _time(state.finalize_ends_at),
        "model_hash": "0x" + state.model_hash.hex() if found else None,
    }


def _time(seconds: int) -> str | None:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {"tx": receipt.tx, "gas": receipt.gas}
