"""The stages of the demo that come before and around its rounds."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from fedproof.chain.accounts import devnet_account
from fedproof.chain.circuit_verifiers import verifier_spec, verifying_key
from fedproof.chain.deploy import ChainPair, deploy, open_chains, pathway, read_only
from fedproof.chain.deployment import Deployment
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient
from fedproof.chain.networks import network as known_network
from fedproof.chain.registry import RegistryClient
from fedproof.circuits import TrainingSpec, load_spec
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.demo.ledger import Ledger, hexed, record_round
from fedproof.demo.options import DemoOptions
from fedproof.demo.twin import Standing
from fedproof.errors import CallerError
from fedproof.export import load_attribute
from fedproof.project import Project
from fedproof.provers import Prover
from fedproof.record import FinalCheck, Round
from fedproof.relay.layerzero.sender import RelayClient
from fedproof.relay.layerzero.worker import LayerZeroWorker
from fedproof.rounds import Aggregator, Dataset, ModelVector
from fedproof.rounds.audit import check_registration
from fedproof.rounds.driver import RoundDriver, RoundOutcome
from fedproof.rounds.published import PublishedModel, verify_model
from fedproof.rounds.registration import model_config, register_model
from fedproof.rounds.session import TrainerSession
from fedproof.srs import SrsStore

Array = NDArray[np.float64]
GUARDIANS, GUARDIAN_THRESHOLD = 3, 2
#: Indices of the devnet's accounts: 0 deploys, coordinates and aggregates.
FIRST_TRAINER, FIRST_GUARDIAN = 1, 20


@dataclass
class Data:
    """Disjoint shards, each at least one batch, and a held-out test set."""

    shards: list[tuple[Array, Array]]
    test: tuple[Array, Array]


#: Lies in every folder that a demo wrote, and so may be emptied by the next.
MARKER = ".fedproof-demo"


def demand_own(folder: Path) -> None:
    """Raise :class:`CallerError` for a folder that holds anything but a demo: it would be emptied."""
    if folder.exists() and not (
        folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir()))
    ):
        raise CallerError(f"{folder} is not empty and holds no demo", hint="name an empty or a new folder")


class Demo:
    """One run. Everything it writes lies under ``options.output``, or ``build/demo``."""

    def __init__(self, project: Project, options: DemoOptions, console: Console, prover: Prover) -> None:
        self.project = project
        self.options = options
        self.prover = prover
        self.console = console
        self.folder = (options.output or project.build / "demo").resolve()
        self.ledger = Ledger()
        self.rounds: list[Round] = []

    def say(self, text: str) -> None:
        """Print one line of progress."""
        self.console.print(f"  {text}", highlight=False)

    # -- stages -------------------------------------------------------------------------------------

    def load_data(self) -> Data:
        """Load the digits, split without overlap."""
        with self.ledger.time("data"):
            spec = load_spec(self.options.circuit, self.project.circuits)
            if not isinstance(spec, TrainingSpec):
                raise CallerError(f"{self.options.circuit!r} is no training circuit; the demo trains one")
            split = load_attribute("models/digits.py:split", self.project.root)
            o = self.options
            shards, test = split(o.trainers, o.held_out, o.seed, pixels=prod(spec.sample))
        sizes = sorted(len(x) for x, _ in shards)
        self.say(
            f"data: {sum(sizes)} digits over {len(shards)} trainers ({sizes[0]}-{sizes[-1]} each), "
            f"{len(test[0])} held out"
        )
        return Data(shards, test)

    def compile(self) -> tuple[Circuit, Circuit, dict[str, float | None]]:
        """Compile both circuits, or take them from the store."""
        store = CircuitStore(self.project)
        circuits, seconds = [], {}
        with self.ledger.time("circuits"):
            for name in (self.options.circuit, f"{self.options.circuit}-average"):
                fresh = not store.is_compiled(name)
                started = time.perf_counter()
                with self.console.status(f"compiling {name}") as status:
                    circuit = store.get(
                        name,
                        progress=lambda stage, name=name: status.update(f"{name}: {stage}"),  # type: ignore[misc]
                    )
                seconds[name] = time.perf_counter() - started if fresh else None
                circuits.append(circuit)
                c = circuit.manifest.costs
                how = f"compiled in {seconds[name]:.1f} s" if fresh else "from the store"
                self.say(
                    f"circuit {name}: 2^{c.logrows} rows, {c.cells:,} cells, {c.lookups:,} lookups, {how}"
                )
        return circuits[0], circuits[1], seconds

    def start_chains(self) -> tuple[Devnet, ChainPair]:
        """Start two fresh chains of this run's own."""
        folder = self.folder / "devnet"
        if self.options.output:
            demand_own(self.folder)
        if folder.is_dir():
            Devnet(folder, l2_port=_free_port(), l1_port=_free_port()).down()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / MARKER).touch()
        with self.ledger.time("devnet"):
            devnet = Devnet(folder, l2_port=_free_port(), l1_port=_free_port())
            devnet.up()
            chains = open_chains(devnet.network, devnet=devnet)
        self.say(
            f'devnet: an emulated "Arbitrum" at {devnet.url("l2")}, '
            f'an emulated "Ethereum" at {devnet.url("l1")}'
        )
        return devnet, chains

    def deploy(self, chains: ChainPair, circuits: tuple[Circuit, Circuit]) -> Deployment:
        """Deploy verifiers, hub, registry and LayerZero."""
        with self.ledger.time("deploy"), self.console.status("deploying contracts") as status:
            deployment = deploy(
                "demo",
                chains,
                [verifier_spec(c) for c in circuits],
                folder=self.folder / "deployments",
                progress=lambda step: status.update(f"deploying: {step}"),
            )
        self.ledger.add_deployment(deployment)
        self.say(
            f"contracts: hub {deployment.hub} on L2, registry {deployment.registry} on L1, "
            "LayerZero V2 on both"
        )
        return deployment

    def register(
        self,
        chains: ChainPair,
        deployment: Deployment,
        circuits: tuple[Circuit, Circuit],
        data: Data,
        genesis: ModelVector,
    ) -> RoundDriver:
        """Register the model, its trainers, their data."""
        training, average = circuits
        hub = HubClient(chains.l2, deployment.hub, deployment.abis["FedproofHub"])
        accounts = [devnet_account(FIRST_TRAINER + i) for i in range(self.options.trainers)]
        config = model_config(
            training,
            average,
            genesis,
            deployment,
            guardians=[devnet_account(FIRST_GUARDIAN + i).address for i in range(GUARDIANS)],
            guardian_threshold=GUARDIAN_THRESHOLD,
            min_trainers=max(1, self.options.trainers - 1),
        )
        if self.options.steps > config.max_steps:
            raise CallerError(
                f"{self.options.steps} steps a round; {average.name!r} holds updates of {config.max_steps}",
                hint="fewer steps, or a wider table for the average",
            )
        with self.ledger.time("register"):
            model_id, receipts = register_model(hub, config, [a.address for a in accounts])
            for label, receipt in receipts:
                self.ledger.add("l2", "register", receipt, label)
            sessions = []
            for account, (x, y) in zip(accounts, data.shards, strict=True):
                dataset = Dataset.from_floats(training, x, y)
                session = TrainerSession(
                    training,
                    dataset,
                    hub.acting_as(account),
                    model_id,
                    self.folder / "trainers" / account.address,
                    self.prover,
                )
                self.ledger.add("l2", "register", session.register(), "dataset root")
                sessions.append(session)
        # As each trainer would before it joins: the hub must check what these circuits prove.
        check_registration(hub, model_id, training, average)
        records = [deployment.verifiers[c.name] for c in circuits]
        driver = RoundDriver(
            hub,
            model_id,
            sessions,
            Aggregator(average, self.prover),
            self.folder,
            steps=self.options.steps,
            provers=self.options.provers,
            vka=(verifying_key(training, records[0]), verifying_key(average, records[1])),
        )
        driver.keep_model(genesis, 0)
        self.say(
            f"model {hexed(model_id)[:18]}… registered and audited, "
            f"{len(sessions)} datasets under Merkle roots"
        )
        return driver

    def relay(
        self, chains: ChainPair, deployment: Deployment, outcome: RoundOutcome, model_id: bytes
    ) -> Callable[[Standing, Standing, int], Round]:
        """Send the hash to the L1, deliver it, read it back; return what makes the round's record."""
        started = time.perf_counter()
        path = pathway(deployment, chains)
        relayed = RelayClient(path).relay(model_id, outcome.number)
        delivery = LayerZeroWorker(path).deliver_transaction(relayed.tx)
        record = RegistryClient(chains.l1, deployment.registry).record_of(model_id, outcome.number)
        seconds = time.perf_counter() - started

        def finish(exact: Standing, floating: Standing, samples: int) -> Round:
            return record_round(
                self.ledger,
                outcome,
                relayed,
                delivery,
                record.model_hash,
                samples_per_step=samples,
                standings=(exact, floating),
                relay_s=seconds,
            )

        return finish

    def check_like_a_stranger(self, url: str, network: str, path: Path) -> FinalCheck:
        """Check the last model with nothing but its file, the SRS and an L1 RPC."""
        started = time.perf_counter()
        published = PublishedModel.load(path)
        srs = SrsStore(self.project.srs).get(published.logrows)
        if published.registry is None:
            raise AssertionError("the demo publishes its registry")
        client = read_only(known_network(network), "l1", url)
        record = verify_model(published, srs, RegistryClient(client, published.registry))
        return FinalCheck(
            model_hash=hexed(published.hash(srs)),
            registry_hash=hexed(record.model_hash),
            seconds=round(time.perf_counter() - started, 3),
        )


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
