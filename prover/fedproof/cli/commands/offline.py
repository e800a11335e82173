"""``fedproof offline``: rounds in folders, without any chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedproof.cli.commands.circuits import compiled
from fedproof.cli.options import Json, ProverName
from fedproof.cli.output import Output
from fedproof.errors import CallerError

if TYPE_CHECKING:
    from fedproof.exchange import ContentStore

app = typer.Typer(
    no_args_is_help=True,
    help="Rounds in folders, without a chain; `fedproof verify-round` checks them. Who signs is "
    "FEDPROOF_PRIVATE_KEY or FEDPROOF_KEYSTORE.",
)
Round = Annotated[Path, typer.Argument(metavar="FOLDER", help="The round's folder.")]
Private = Annotated[
    Path, typer.Option("--private", help="The trainer's private folder: data, steps, proofs.")
]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", help="Where updates lie: a folder, s3://, https://. FEDPROOF_STORE, or FOLDER/store."
    ),
]


@app.command("model")
def model(
    circuit: Annotated[str, typer.Argument(metavar="NAME", help="The training circuit.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where model.json and genesis.json go.")],
    average: Annotated[
        str | None, typer.Option("--average", help="Its average circuit; NAME-average unless given.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Most steps of a trainer in a round.")
    ] = None,
    json: Json = False,
) -> None:
    """Describe a model that is trained in folders: circuits, first weights, whose signature counts.

    Its id is a hash of all that. Send model.json to the trainers.

    Example:

        fedproof offline model digits-linear --folder federation
    """
    from fedproof.chain.accounts import account_of_environment  # noqa: PLC0415 - slow to import
    from fedproof.cli.commands.rounds import _first_weights  # noqa: PLC0415
    from fedproof.exchange.documents import OfflineModel  # noqa: PLC0415
    from fedproof.files import write_whole  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.rounds import ModelVector  # noqa: PLC0415
    from fedproof.rounds.published import PublishedModel  # noqa: PLC0415

    out, project = Output(json=json), Project.find()
    owner = account_of_environment("the model's owner")
    if (folder / "model.json").exists():
        raise CallerError(f"{folder / 'model.json'} is there already", hint="one folder a model")
    pair = (compiled(circuit, out), compiled(average or f"{circuit}-average", out))
    genesis = ModelVector.from_floats(pair[0], _first_weights(project, circuit))
    made = OfflineModel.of(*pair, genesis, str(owner.address), max_steps=steps)
    PublishedModel.of(pair[0], genesis, made.id, 0).save(folder / "genesis.json")
    write_whole(folder / "model.json", made.model_dump_json(indent=2) + "\n")
    document = {"model_id": "0x" + made.id.hex(), "owner": made.owner, "folder": str(folder)}
    out.result(document, f"{folder}: model 0x{made.id.hex()}, rounds are opened by {made.owner}")


@app.command("join")
def join(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The owner's model.json.")],
    data: Annotated[Path, typer.Option("--data", help="Samples, .npz or JSON with x and y.")],
    private: Private,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the registration goes.")],
    json: Json = False,
) -> None:
    """Fix a trainer's batches and sign their root; send the registration to the model's owner.

    Example:

        fedproof offline join model.json --data mine.npz --private trainer1 -o registration.json
    """
    from fedproof.chain.accounts import account_of_environment  # noqa: PLC0415 - slow to import
    from fedproof.cli.inputs import read_samples  # noqa: PLC0415
    from fedproof.exchange.documents import OfflineModel  # noqa: PLC0415
    from fedproof.exchange.folder import read  # noqa: PLC0415
    from fedproof.exchange.opening import register  # noqa: PLC0415
    from fedproof.files import write_whole  # noqa: PLC0415
    from fedproof.training.data import dataset_of  # noqa: PLC0415

    out = Output(json=json)
    account = account_of_environment("a trainer")
    described = read(OfflineModel, model, "model description")
    circuit = compiled(described.training.name, out)
    with out.working("committing to the batches"):
        dataset = dataset_of(circuit, read_samples(data), private / "dataset.json")
        made = register(described.id, dataset.tree.root, len(dataset), account)
    write_whole(output, made.model_dump_json(indent=2) + "\n")
    text = f"{output}: {made.trainer} takes part with {made.batches} batches, root {made.dataset_root}"
    out.result(made.model_dump(mode="json") | {"registration": str(output)}, text)


@app.command("open")
def open_(
    folder: Round,
    model: Annotated[Path, typer.Option("--model", help="The model's model.json.")],
    base: Annotated[
        Path, typer.Option("--base", help="The model to train from: genesis.json, or model.json of a round.")
    ],
    registration: Annotated[
        list[Path], typer.Option("--registration", help="A trainer's registration; repeat it.")
    ],
    number: Annotated[
        int | None,
        typer.Option("--number", min=1, help="Number of the round; that of --base + 1 unless given."),
    ] = None,
    least: Annotated[int, typer.Option("--least", min=1, help="Trainers that must count at least.")] = 1,
    json: Json = False,
) -> None:
    """Open a round in a new folder: sign what it starts from and who takes part.

    Example:

        fedproof offline open round1 --model model.json --base genesis.json --registration registration.json
    """
    from fedproof.chain.accounts import account_of_environment  # noqa: PLC0415 - slow to import
    from fedproof.exchange.documents import OfflineModel, Registration  # noqa: PLC0415
    from fedproof.exchange.folder import read  # noqa: PLC0415
    from fedproof.exchange.opening import open_round  # noqa: PLC0415
    from fedproof.rounds.published import PublishedModel  # noqa: PLC0415

    out = Output(json=json)
    owner = account_of_environment("the model's owner")
    described = read(OfflineModel, model, "model description")
    start = PublishedModel.load(base)
    training = compiled(described.training.name, out)
    made = open_round(
        folder,
        described,
        training,
        start.model,
        [read(Registration, path, "registration") for path in registration],
        owner,
        number=number or start.round + 1,
        parent=start.round,
        min_trainers=least,
    )
    plan = made.plan
    document = {
        "folder": str(folder),
        "model_id": plan.model_id,
        "round": plan.number,
        "base": plan.base.round,
    }
    document |= {"trainers": [r.trainer for r in plan.trainers]}
    out.result(document, f"{folder}: round {plan.number} of {plan.model_id}, {len(plan.trainers)} trainers")


@app.command("train")
def train(
    folder: Round,
    private: Private,
    model_id: Annotated[
        str | None, typer.Option("--model-id", help="Take part in rounds of this model only.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Steps to take; as many as the round takes unless given."),
    ] = None,
    store: Store = None,
    prover: ProverName = None,
    json: Json = False,
) -> None:
    """Train a round with the data of `offline join`, prove every step, hand in. Run again, it goes on.

    Example:

        fedproof offline train round1 --private trainer1
    """
    from fedproof.chain.accounts import account_of_environment  # noqa: PLC0415 - slow to import
    from fedproof.cli.proving import proving  # noqa: PLC0415
    from fedproof.exchange.folder import RoundFolder  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415
    from fedproof.training import ProvingTrainer  # noqa: PLC0415

    out = Output(json=json)
    account = account_of_environment("a trainer")
    target = RoundFolder(folder, store=opened_store(store))
    circuit = compiled(target.plan.model.training.name, out)
    with proving(Project.find(), prover) as chosen, out.working("training") as say:
        trainer = ProvingTrainer(circuit, key=account, folder=private, prover=chosen)
        work = trainer.round(target, model_id=id_of(model_id), max_steps=steps)
        with work:
            for batch in trainer:
                taken = trainer.step(batch)
                trainer.prove()
                say(f"step {taken.index} taken, {work.proven} proven")
            say("waiting for the proofs")
            path = trainer.submit()
    document = {
        "trainer": trainer.address,
        "round": work.number,
        "batches": work.batches,
        "folder": str(path),
        "model_id": "0x" + work.model_id.hex(),
    }
    out.result(document, f"{path}: {len(work.batches)} steps of round {work.number}, proven and handed in")


@app.command("aggregate")
def aggregate(
    folder: Round,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", help="ADDRESS=REASON: do not wait for this trainer; repeat it."),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Leave out whoever's submission does not hold; else fail.")
    ] = False,
    store: Store = None,
    prover: ProverName = None,
    json: Json = False,
) -> None:
    """Check what was handed in, average it, prove the average, sign the result and write the new model.

    Example:

        fedproof offline aggregate round1 --leave-out 0x70997970C51812dc3A010C7d01b50e0d17dc79C8=absent
    """
    from fedproof.chain.accounts import account_of_environment  # noqa: PLC0415 - slow to import
    from fedproof.cli.proving import proving  # noqa: PLC0415
    from fedproof.exchange.aggregate import FolderAggregator  # noqa: PLC0415
    from fedproof.exchange.folder import MODEL, RoundFolder  # noqa: PLC0415
    from fedproof.project import Project  # noqa: PLC0415

    out = Output(json=json)
    owner = account_of_environment("the model's owner")
    reasons = dict(_reason(text) for text in leave_out or [])
    target = RoundFolder(folder, store=opened_store(store))
    plan = target.plan
    pair = (compiled(plan.model.training.name, out), compiled(plan.model.average.name, out))
    with proving(Project.find(), prover) as chosen, out.working("aggregating"):
        on_invalid = "drop" if drop else "fail"
        aggregator = FolderAggregator(target, *pair, owner, prover=chosen, on_invalid=on_invalid)
        result = aggregator.finish(reasons)
    for left in result.left_out:
        out.warn(f"{left.trainer} is left out: {left.reason}")
    rows = [(share.trainer, share.steps, share.samples, share.weight) for share in result.included]
    document = result.model_dump(mode="json") | {"model": str(folder / MODEL)}
    out.table(document, ("trainer", "steps", "samples", "weight"), rows)


def _reason(text: str) -> tuple[str, str]:
    address, separator, reason = text.partition("=")
    if not separator or not reason.strip():
        raise CallerError(f"--leave-out {text!r} gives no reason", hint="--leave-out ADDRESS=REASON")
    return address.strip(), reason.strip()


def opened_store(url: str | None) -> ContentStore | None:
    """The store at ``url``, or at FEDPROOF_STORE; None for that of the folder."""
    import os  # noqa: PLC0415

    from fedproof.exchange import ContentStore  # noqa: PLC0415 - slow to import

    found = url or os.environ.get("FEDPROOF_STORE")
    return ContentStore(found) if found else None


def id_of(text: str | None) -> Any:  # noqa: ANN401 - bytes or None
    """A model id of the command line. Raises :class:`CallerError` for what is none."""
    if text is None:
        return None
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 32:
        raise CallerError(f"{text!r} is no model id", hint="32 bytes in hex")
    return found
