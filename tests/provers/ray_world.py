"""A Ray cluster of several nodes on this machine, each with a cache of its own."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from fedproof.provers.ray import RayProver

MIB = 2**20
#: Cores and memory of the nodes: one proof of the tiny circuit on the first, two on the second.
FIRST, SECOND = (1, 600 * MIB), (2, 720 * MIB)
CLIENT_PORT = 23987


class World:
    """The cluster, and its nodes by name."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        logging.getLogger("ray").setLevel(logging.ERROR)
        self.folder = folder
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": 80 * MIB,
                "include_dashboard": False,
                "include_log_monitor": False,
                "no_monitor": True,
                "ray_client_server_port": CLIENT_PORT,
                "temp_dir": str(folder / "ray"),
                # A lost node is noticed within two seconds, not thirty.
                "_system_config": {
                    "health_check_initial_delay_ms": 0,
                    "health_check_period_ms": 500,
                    "health_check_failure_threshold": 4,
                },
            },
        )
        stale = folder / "stale"
        (stale / "ezkl-99.0.dist-info").mkdir(parents=True)
        (stale / "ezkl-99.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: ezkl\nVersion: 99.0\n"
        )
        self.first = self.add("first", *FIRST)
        self.second = self.add("second", *SECOND)
        self.stale = self.add("stale", 1, 900 * MIB, PYTHONPATH=str(stale))
        self.cluster.wait_for_nodes(timeout=120)

    def add(self, name: str, cores: int, memory: int, **environment: str):
        return self.cluster.add_node(
            num_cpus=cores,
            memory=memory,
            object_store_memory=80 * MIB,
            env_vars={
                "FEDPROOF_CACHE": str(self.folder / name),
                # As if it were a machine of its own.
                "FEDPROOF_LEDGER": str(self.folder / f"{name}-ledger"),
                **environment,
            },
            wait=False,
        )

    def prover(self, **options) -> RayProver:
        """An open prover of this cluster, connected as a driver."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_ADDRESS", self.cluster.address)
            made = RayProver(**options)
        made.open()
        return made

    @contextmanager
    def held(self) -> Iterator[ExitStack]:
        """Lock the ledgers, so that no task gets beyond them, until the block ends or ``close`` is called."""
        with ExitStack() as locks:
            for name in ("first", "second"):
                folder = self.folder / f"{name}-ledger"
                folder.mkdir(exist_ok=True)
                file = locks.enter_context((folder / ".lock").open("w"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield locks

    def kill_workers(self) -> int:
        """Kill the proving processes of all nodes; return how many there were."""
        killed = 0
        for node in self.cluster.worker_nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
                for process in raylet.children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                        if "fedproof.provers.cpu.worker" in process.cmdline():
                            process.kill()
                            killed += 1
        return killed


@contextmanager
def ray_world() -> Iterator[World]:
    """Start a cluster and end it, its processes and its files."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Sockets lie there, whose paths have little room.
    folder = Path(tempfile.mkdtemp(prefix="fpt-", dir="/tmp"))
    world = None
    try:
        world = _start(folder)
        yield world
    finally:
        if world is not None:
            world.cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
        assert not left_behind(folder)


def _start(folder: Path, attempts: int = 3) -> World:
    """Start the cluster; Ray gives each of its processes 30 s, which a busy machine may not have."""
    for number in range(1, attempts + 1):
        try:
            return World(folder / str(number))
        except Exception:
            for process in of_cluster(folder):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if number == attempts:
                raise
    raise AssertionError


def of_cluster(folder: Path) -> list[psutil.Process]:
    """Processes of the cluster in ``folder``, which nothing else names."""
    everything = psutil.process_iter(["cmdline"])
    return [p for p in everything if any(str(folder) in word for word in p.info["cmdline"] or ())]


def left_behind(folder: Path) -> list[psutil.Process]:
    """Processes of the cluster in ``folder`` that do not end by themselves within a minute."""
    return psutil.wait_procs(of_cluster(folder), timeout=60)[1]
