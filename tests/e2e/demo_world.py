"""One small demo a session, its chains left running for the tests that look at them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedproof.chain.deploy import ChainPair, open_chains, read_only
from fedproof.chain.deployment import Deployment, load_deployment
from fedproof.chain.devnet import Devnet
from fedproof.chain.hub import HubClient
from fedproof.chain.networks import network
from fedproof.chain.registry import RegistryClient
from fedproof.demo import DemoOptions, run_demo
from fedproof.project import Project
from fedproof.record import RunRecord

CIRCUIT, TRAINERS, ROUNDS, STEPS, SEED = "digits-linear", 2, 3, 2, 0


@dataclass
class World:
    """A finished demo. ``project`` shares circuits and SRS with the checkout and nothing else."""

    project: Project
    record: RunRecord
    printed: str

    @property
    def folder(self) -> Path:
        return self.project.build / "demo"

    @cached_property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return found

    @cached_property
    def devnet(self) -> Devnet:
        return running_devnet(self.folder / "devnet")

    @cached_property
    def chains(self) -> ChainPair:
        return open_chains(self.devnet.network, devnet=self.devnet)

    @cached_property
    def deployment(self) -> Deployment:
        return load_deployment("demo", self.folder / "deployments")

    @property
    def hub(self) -> HubClient:
        return HubClient(self.chains.l2, self.deployment.hub, self.deployment.abis["FedproofHub"])

    @property
    def registry(self) -> RegistryClient:
        """The registry as a stranger sees it: an RPC URL and an address."""
        client = read_only(network("devnet"), "l1", self.devnet.url("l1"))
        return RegistryClient(client, self.deployment.registry)


def running_devnet(folder: Path) -> Devnet:
    """The devnet whose process files lie in ``folder``, on the ports it was given."""
    ports = {side: json.loads((folder / f"{side}.pid.json").read_text())["port"] for side in ("l2", "l1")}
    return Devnet(folder, l2_port=ports["l2"], l1_port=ports["l1"])


@pytest.fixture(scope="session")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """This project with a build folder of its own, in which only circuits and SRS are the checkout's."""
    here = Project.find(Path(__file__).parent)
    build = tmp_path_factory.mktemp("build")
    for kept in (here.store, here.srs):
        kept.mkdir(parents=True, exist_ok=True)
        (build / kept.name).symlink_to(kept, target_is_directory=True)
    return Project(here.root, build)


@pytest.fixture(scope="session")
def world(aside: Project) -> Iterator[World]:
    console = Console(file=io.StringIO(), width=120)
    options = DemoOptions(
        circuit=CIRCUIT, trainers=TRAINERS, rounds=ROUNDS, steps=STEPS, seed=SEED, keep_devnet=True
    )
    try:
        record = run_demo(aside, options, console)
        assert isinstance(console.file, io.StringIO)
        yield World(aside, record, console.file.getvalue())
    finally:
        if (aside.build / "demo" / "devnet" / "l2.pid.json").is_file():
            running_devnet(aside.build / "demo" / "devnet").down()


def environment(project: Project) -> dict[str, str]:
    """Of a process that works in ``project``."""
    sources = str(Path(__file__).resolve().parents[2] / "prover")
    paths = os.pathsep.join([sources, *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": paths, "FEDPROOF_PROJECT": str(project.root)}
