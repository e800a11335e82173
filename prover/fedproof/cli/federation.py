"""A model with local trainers on a deployment: what ``fedproof round`` remembers between two calls."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifying_key
from fedproof.chain.deploy import ChainPair, learn_errors
from fedproof.chain.deployment import Deployment, load_deployment
from fedproof.chain.hub import HubClient, Phase
from fedproof.circuits.spec import Strict
from fedproof.circuits.store import Circuit
from fedproof.cli.chains import connect
from fedproof.errors import CallerError, TerminalError
from fedproof.exchange import ContentStore, UpdateExchange
from fedproof.files import write_whole
from fedproof.project import Project
from fedproof.provers import Prover
from fedproof.rounds import Aggregator, Dataset
from fedproof.rounds.driver import Progress, RoundDriver
from fedproof.rounds.session import TrainerSession

_FILE = "federation.json"


class Federation(Strict):
    """One model of a deployment, with trainers that are accounts of the devnet."""

    format: int = 1
    deployment: str
    hub: str = Field(description="address of the hub that knows the model")
    genesis: str = Field(description="hash of the L2's first block: tells a restarted devnet")
    model_id: str = Field(pattern="^0x[0-9a-f]{64}$")
    training: str
    average: str
    steps: int = Field(ge=1)
    trainers: tuple[int, ...] = Field(description="indices of the devnet's accounts")

    @property
    def id_bytes(self) -> bytes:
        """The model id."""
        return bytes.fromhex(self.model_id[2:])

    def save(self, folder: Path) -> None:
        """Write it into ``folder``."""
        write_whole(folder / _FILE, self.model_dump_json(indent=2) + "\n")


def federations(project: Project) -> Path:
    """Folder of all federations of a project."""
    return project.build / "federations"


def folder_of(project: Project, name: str) -> Path:
    """Folder of the federation ``name``. Raises :class:`CallerError` when it cannot be a file name."""
    if not name or not name.replace("-", "").replace("_", "").isalnum():
        raise CallerError(f"{name!r} may hold letters, digits, '-' and '_' only")
    return federations(project) / name


def find(project: Project, name: str | None) -> tuple[Federation, Path]:
    """The federation ``name``, or the only one there is, and its folder. Raises :class:`CallerError`."""
    known = sorted(path.parent.name for path in federations(project).glob(f"*/{_FILE}"))
    if name is None:
        if len(known) != 1:
            state = f"there are several: {', '.join(known)}" if known else "none is registered"
            raise CallerError(f"which model? {state}", hint="fedproof round register, or --model NAME")
        name = known[0]
    path = folder_of(project, name) / _FILE
    if name not in known:
        raise CallerError(f"no model {name!r} is registered", hint=f"known: {', '.join(known) or 'none'}")
    try:
        return Federation.model_validate_json(path.read_text(encoding="utf-8")), path.parent
    except (OSError, ValueError) as error:
        raise TerminalError(f"{path} is damaged: {error}", hint="remove its folder, register anew") from error


def clear(project: Project, name: str, place: Place) -> Path:
    """The empty folder of a federation to be registered; what a vanished devnet left there is removed.

    Raises :class:`CallerError` when ``name`` is registered on the hub here: its trainers' secrets lie there.
    """
    folder = folder_of(project, name)
    if (folder / _FILE).is_file() and place.holds(find(project, name)[0]):
        raise CallerError(
            f"a model {name!r} is registered on this hub already", hint="choose another name with --model"
        )
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class Place:
    """A deployment and its chains, checked to be the ones that were deployed to."""

    deployment: Deployment
    chains: ChainPair

    @classmethod
    def reach(cls, name: str) -> Place:
        """Connect to the deployment ``name``. Raises as ``connect`` and ``Deployment.check`` do."""
        deployment = load_deployment(name)
        chains = connect(deployment.the_network())
        deployment.check(chains.l2, chains.l1)
        learn_errors(deployment, chains)
        return cls(deployment, chains)

    @classmethod
    def of(cls, federation: Federation) -> Place:
        """Connect to where ``federation`` is registered. Raises :class:`CallerError` when that is gone."""
        place = cls.reach(federation.deployment)
        if not place.holds(federation):
            raise CallerError(
                f"model {federation.model_id} was registered on a hub that is gone",
                hint="a devnet forgets everything when it stops; run 'fedproof round register' again",
            )
        return place

    @property
    def hub(self) -> HubClient:
        """The hub, acting as the network's account."""
        return HubClient(self.chains.l2, self.deployment.hub, self.deployment.abis["FedproofHub"])

    def holds(self, federation: Federation) -> bool:
        """Whether the hub here is the one that ``federation`` was registered on."""
        return (federation.hub, federation.genesis) == (self.deployment.hub, self.deployment.l2.genesis)

    def require_phase(self, federation: Federation, number: int, phase: Phase, why: str) -> None:
        """Raise :class:`CallerError` unless round ``number`` is in ``phase``; ``why`` is the hint."""
        latest = self.hub.latest_round(federation.id_bytes)
        if not 1 <= number <= latest:
            raise CallerError(f"there is no round {number}", hint=f"rounds opened so far: {latest}")
        found = self.hub.phase(federation.id_bytes, number)
        if found is not phase:
            raise CallerError(f"round {number} is in phase {found.name.lower()}", hint=why)


def driver(
    federation: Federation,
    folder: Path,
    place: Place,
    circuits: tuple[Circuit, Circuit],
    progress: Progress,
    prover: Prover | None = None,
    store: ContentStore | None = None,
) -> RoundDriver:
    """The driver of a federation's rounds; made again, it goes on where the last one stopped.

    As many steps are proven at a time as are of use to ``prover``. Updates are left in ``store``, too, for
    aggregators elsewhere.
    """
    training, average = circuits
    exchange = None if store is None else UpdateExchange(store)
    sessions = []
    for index in federation.trainers:
        account = devnet_account(index)
        own = folder / "trainers" / account.address
        dataset = Dataset.load(training, own / "dataset.json")
        hub = place.hub.acting_as(account)
        sessions.append(TrainerSession(training, dataset, hub, federation.id_bytes, own, prover, exchange))
    records = [place.deployment.verifier(circuit.name) for circuit in circuits]
    return RoundDriver(
        place.hub,
        federation.id_bytes,
        sessions,
        Aggregator(average, prover),
        folder,
        steps=federation.steps,
        provers=prover.parallel if prover else 1,
        vka=(verifying_key(training, records[0]), verifying_key(average, records[1])),
        progress=progress,
    )
