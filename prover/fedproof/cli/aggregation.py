"""From what the command is told to an aggregator: whose rounds, which circuits, which updates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifying_key
from fedproof.chain.hub import HubClient
from fedproof.circuits.store import Circuit
from fedproof.cli import federation as fed
from fedproof.errors import CallerError
from fedproof.exchange import ContentStore, UpdateExchange
from fedproof.project import Project
from fedproof.provers import Prover
from fedproof.rounds import Aggregator
from fedproof.rounds.averaging import Averaging
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.updates import FolderUpdates, Updates
from fedproof.service.models import Models
from fedproof.service.updates import ExchangeUpdates


@dataclass(frozen=True)
class Subject:
    """Whose rounds are to be ended. ``folder`` keeps models and proofs, ``trainers`` the updates."""

    deployment: str
    model_id: bytes
    training: str
    average: str
    folder: Path
    trainers: Path | None = None


def of_federation(project: Project, name: str | None, folder: Path | None) -> tuple[Subject, fed.Place]:
    """Return a model that was registered here, and its place; raises as :func:`federation.find` does."""
    found, own = fed.find(project, name)
    subject = Subject(
        found.deployment, found.id_bytes, found.training, found.average, folder or own, own / "trainers"
    )
    return subject, fed.Place.of(found)


def of_model_id(
    project: Project,
    model_id: str,
    deployment: str,
    circuit: str | None,
    average: str | None,
    folder: Path | None,
) -> tuple[Subject, fed.Place]:
    """Return a model that was registered elsewhere, and its place. Raises :class:`CallerError`."""
    try:
        found = bytes.fromhex(model_id.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 32:
        raise CallerError(f"{model_id!r} is no model id", hint="0x and 64 hex digits")
    if circuit is None:
        raise CallerError("--model-id needs --circuit, the training circuit of the model")
    own = folder or project.build / "aggregators" / found.hex()[:16]
    return Subject(deployment, found, circuit, average or f"{circuit}-average", own), fed.Place.reach(
        deployment
    )


def hub_of(place: fed.Place, account: int | None) -> HubClient:
    """The hub, acting as the network's account, or on a devnet as account number ``account``."""
    if account is None:
        return place.hub
    if not place.deployment.the_network().is_devnet:
        raise CallerError(
            "--account chooses an account of a devnet", hint="elsewhere FEDPROOF_KEYSTORE says who signs"
        )
    return place.hub.acting_as(devnet_account(account))


def models_of(
    subject: Subject,
    place: fed.Place,
    hub: HubClient,
    circuits: tuple[Circuit, Circuit],
    prover: Prover,
    store: ContentStore | None,
) -> Models:
    """What averages the rounds and keeps the models. Updates are in ``store``, or in the subject's folder.

    Raises :class:`CallerError` when the model is averaged by another circuit than ``circuits`` ' second.
    """
    training, average = circuits
    aggregator = Aggregator(average, prover)
    record = place.deployment.verifier(average.name)
    if hub.model(subject.model_id).config.aggregate_verifier != record.adapter.address:
        raise CallerError(
            f"the model's averages are not verified as those of {average.name!r}",
            hint="choose the circuits the model was registered with: --circuit, --average",
        )
    averaging = Averaging(
        hub,
        subject.model_id,
        aggregator,
        _updates(subject, store, aggregator.length),
        subject.folder,
        verifying_key(average, record),
    )
    published = {"registry": place.deployment.registry, "l1_chain_id": place.deployment.l1.chain_id}
    return Models(averaging, training, subject.folder / "models", published)


def take_genesis(models: Models, file: Path) -> None:
    """Keep the first model, as it was published; raises :class:`CommitmentMismatch` if it is another."""
    genesis = PublishedModel.load(file).model
    points = tuple(models.hub.model(models.model_id).config.genesis)
    models.circuit.committer.check_opening(genesis.vector, points, what=str(file))  # type: ignore[arg-type]
    models.keep(genesis, 0)


def _updates(subject: Subject, store: ContentStore | None, length: int) -> Updates:
    if store is not None:
        return ExchangeUpdates(UpdateExchange(store), subject.model_id, length)
    if subject.trainers is not None:
        return FolderUpdates(subject.trainers)
    raise CallerError("where do the updates come from?", hint="--store, or FEDPROOF_STORE")
