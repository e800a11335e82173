"""Proofs on a cluster of several nodes: what every prover must do, and what happens when parts of it die."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from conformance import ProverConformance
from ray_world import CLIENT_PORT, FIRST, MIB, SECOND, ray_world

from fedproof.errors import RetryableError
from fedproof.provers import BeyondBudget, ProverKilled
from fedproof.provers.memory.needs import MARGIN
from fedproof.provers.ray import RayProver, watch
from fedproof.provers.ray.demand import AROUND_BYTES, demand_of

pytestmark = [pytest.mark.ray, pytest.mark.prove]


@pytest.fixture(scope="module")
def world():
    with ray_world() as made:
        yield made


@pytest.fixture(scope="class")
def prover(world, request):
    """A prover of the cluster; nodes of one machine share its files only in the conformance suite."""
    with world.prover(shared=request.cls is TestRay) as made:
        yield made


def with_peak(circuit, folder: Path, memory: int) -> Path:
    """A copy of the circuit which says that a proof needs ``memory`` bytes, everything counted."""
    shutil.copytree(circuit.folder, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["costs"]["prove_peak_bytes"] = int((memory - AROUND_BYTES) / MARGIN)
    path.write_text(json.dumps(manifest))
    return folder


class TestRay(ProverConformance):
    @pytest.fixture
    def slayer(self, world):
        return world.kill_workers


class TestSeveralNodes:
    def test_capacity_is_that_of_the_nodes_with_our_versions(self, prover, world):
        assert prover.parallel == FIRST[0] + SECOND[0]
        assert list(prover.nodes.refused) == [world.stale.node_id]
        assert "ezkl 99.0 (here 23.0.5)" in prover.nodes.refused[world.stale.node_id]

    def test_files_reach_a_node_once(self, prover, world, circuit, slots):
        runs = many(prover, circuit, slots, 6)
        assert len({node_of(run) for run in runs}) == 2
        received = prover.nodes.received()
        # The compiled circuit, its two keys, settings, manifest, SRS.
        assert sorted(received) == sorted([world.first.node_id, world.second.node_id])
        assert [list(counts.values()) for counts in received.values()] == [[1] * 6] * 2
        objects = {p.name for p in (world.folder / "first" / "objects").iterdir()}
        assert objects == set(received[world.first.node_id])

    def test_another_caller_sends_nothing_again(self, prover, world, circuit, slots):
        with world.prover(shared=False) as other:
            many(other, circuit, slots, 3)
            assert not any(other.nodes.received().values())

    def test_a_damaged_file_of_a_cache_is_sent_again(self, prover, world, circuit, slots):
        before = prover.nodes.received()
        for name in ("first", "second"):
            for path in (world.folder / name / "circuits").glob("*/pk.key"):
                path.chmod(0o600)
                path.write_bytes(b"damaged" + path.read_bytes()[7:])
        run = prover.prove(circuit.folder, circuit.srs.path, slots)
        assert prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances)
        counted = [sum(c.values()) for c in (*before.values(), *prover.nodes.received().values())]
        assert sum(counted[2:]) - sum(counted[:2]) in (1, 2)

    def test_memory_is_never_overbooked(self, prover, world, circuit, slots, tmp_path, monkeypatch):
        large = with_peak(circuit, tmp_path / "large", 480 * MIB)
        small = with_peak(circuit, tmp_path / "small", 340 * MIB)
        asked = {f: demand_of(f, "cpu", 1).memory for f in (large, small)}
        limits = {world.first.node_id: FIRST[1], world.second.node_id: SECOND[1]}
        spans: list[tuple[str, float, float, int]] = []
        attempt = prover._attempt

        def recorded(cluster, job, history):
            answer = attempt(cluster, job, history)
            if answer is not None:
                spans.append((answer.node, answer.began, answer.ended, asked[Path(job.kit.folder)]))
            return answer

        monkeypatch.setattr(prover, "_attempt", recorded)
        folders = [large, small, small, large, small, small]
        with ThreadPoolExecutor(len(folders)) as threads:
            list(threads.map(lambda f: prover.prove(f, circuit.srs.path, slots), folders))
        together = 0
        for node, began, _, _ in spans:
            here = [s for s in spans if s[0] == node and s[1] <= began < s[2]]
            assert sum(s[3] for s in here) <= limits[node]
            together = max(together, len(here))
        assert together == 2  # two small ones fit the second node

    def test_a_proof_for_which_no_node_is_large_enough(self, prover, circuit, slots, tmp_path):
        folder = with_peak(circuit, tmp_path / "huge", 800 * MIB)
        with pytest.raises(BeyondBudget, match=r"needs 0\.78 GiB.*largest node.* has 0\.70 GiB"):
            prover.prove(folder, circuit.srs.path, slots)

    def test_a_killed_worker_is_replaced_by_another_node(self, prover, world, circuit, slots, caplog):
        killed: list[str] = []

        def kill(node: str, pid: int) -> None:
            if not killed:
                killed.append(node)
                os.kill(pid, signal.SIGKILL)
                locks.close()

        with world.held() as locks, on_begin(prover, kill):
            run = prover.prove(circuit.folder, circuit.srs.path, slots)
        assert prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances)
        assert f"node {killed[0][:8]}: Ray's worker was killed" in caplog.text
        assert node_of(run) != killed[0][:8]

    def test_a_proof_that_kills_every_worker_ends(self, prover, world, circuit, slots):
        killed: list[str] = []

        def kill(node: str, pid: int) -> None:
            killed.append(node)
            os.kill(pid, signal.SIGKILL)

        with world.held(), on_begin(prover, kill), pytest.raises(ProverKilled) as e:
            prover.prove(circuit.folder, circuit.srs.path, slots)
        assert "lost 3 times; " in str(e.value)
        assert str(e.value).count("Ray's worker was killed") == 3
        assert isinstance(e.value, RetryableError)
        assert len(killed) == 3
        assert len(set(killed[:2])) == 2

    def test_an_interrupted_call_leaves_no_proof_running(self, prover, world, circuit, slots, monkeypatch):
        began: list[int] = []

        def interrupt(_) -> None:
            if began:
                raise KeyboardInterrupt

        monkeypatch.setattr(watch.Watch, "look", interrupt)
        with (
            world.held(),
            on_begin(prover, lambda _, pid: began.append(pid)),
            pytest.raises(KeyboardInterrupt),
        ):
            prover.prove(circuit.folder, circuit.srs.path, slots)
        wait_for(lambda: not psutil.pid_exists(began[0]))

    def test_closing_ends_what_runs(self, world, circuit, slots):
        pids: list[int] = []
        with world.prover(shared=False) as other, world.held(), ThreadPoolExecutor(2) as threads:
            with on_begin(other, lambda _, pid: pids.append(pid)):
                calls = [
                    threads.submit(other.prove, circuit.folder, circuit.srs.path, slots) for _ in range(2)
                ]
                wait_for(lambda: pids)
            other.close()
            for call in calls:
                with pytest.raises(ProverKilled, match="closed while it proved"):
                    call.result()
            wait_for(lambda: not psutil.pid_exists(pids[0]))

    def test_a_killed_node_loses_nothing(self, prover, world, circuit, slots, caplog):
        """The last of the class: it ends the first node."""
        gone: list[str] = []
        stopped: list[int] = []

        def kill(node: str, pid: int) -> None:
            if node == world.first.node_id and not gone:
                gone.append(node)
                stopped.append(pid)
                os.kill(pid, signal.SIGSTOP)  # as behind a broken wire: nobody hangs up
                world.cluster.remove_node(world.first, allow_graceful=False)
                locks.close()

        with world.held() as locks, on_begin(prover, kill):
            runs = many(prover, circuit, slots, 8)
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert gone
        assert len({run.proof for run in runs}) == 8
        for run in runs:
            assert prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances)
        assert "lost" in caplog.text
        time.sleep(1.1)  # the list of nodes is read again
        assert prover.parallel == SECOND[0]


class TestClient:
    def test_a_proof_through_the_client_server(self, world, circuit, slots):
        with RayProver(f"127.0.0.1:{CLIENT_PORT}", shared=False) as prover:
            run = prover.prove(circuit.folder, circuit.srs.path, slots)
            assert prover.verify(circuit.folder, circuit.srs.path, run.proof, run.instances)
            # The first node may have been killed by a test before this one.
            assert prover.parallel in (SECOND[0], FIRST[0] + SECOND[0])


def node_of(run) -> str:
    """The first letters of the node's name: "node NAME MACHINE:PID"."""
    return run.worker.split()[1]


def many(prover, circuit, slots, count):
    with ThreadPoolExecutor(count) as threads:
        return list(
            threads.map(lambda _: prover.prove(circuit.folder, circuit.srs.path, slots), range(count))
        )


def wait_for(what, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def on_begin(prover, act):
    """Call ``act(node, pid)`` for every attempt that begins within the block."""
    import ray

    def began() -> dict[str, tuple[str, int]]:
        found = {}
        for node in prover.nodes.usable():
            with contextlib.suppress(ray.exceptions.RayError):
                for attempt, pid in ray.get(node.store.began.remote(0), timeout=2)[1].items():
                    found[attempt] = (node.ident, pid)
        return found

    def watch() -> None:
        known = set(before)
        while not over.wait(0.01):
            now = began()
            for attempt in sorted(set(now) - known):
                known.add(attempt)
                act(*now[attempt])

    before, over = began(), threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
