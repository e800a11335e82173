"""Aggregators on a real chain with real proofs: a race, a kill, an update that is another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_world import rpc
from cli_project import Command, finish, free_port, start

from fedproof.chain.accounts import devnet_account
from fedproof.chain.hub import HubClient, Phase
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.cli import aggregation, run
from fedproof.cli.federation import Place
from fedproof.cli.proving import proving
from fedproof.jobs import JobStore, State
from fedproof.project import Project
from fedproof.rounds.published import PublishedModel
from fedproof.service.aggregator import AggregatorService, Pace
from fedproof.service.outcomes import Journal, Kind, Outcome
from fedproof.service.settling import Settler
from fedproof.service.stopping import Stop

pytestmark = pytest.mark.e2e

FIRST, SECOND = 5, 6
GUARDIANS = (20, 21)


@dataclass
class Site:
    """The compiled project on a running devnet, with one model of two trainers."""

    root: Path
    place: Place
    subject: aggregation.Subject
    circuits: tuple[Circuit, Circuit]

    @property
    def hub(self) -> HubClient:
        return self.place.hub

    @property
    def model_id(self) -> bytes:
        return self.subject.model_id

    @property
    def newest(self) -> int:
        return self.hub.latest_round(self.model_id)

    @cached_property
    def jobs(self) -> JobStore:
        return JobStore(self.root / "build" / "jobs")

    def rpc(self, method: str, *parameters: object) -> object:
        return rpc(self.place.chains.l2, method, *parameters)

    @contextlib.contextmanager
    def poor(self, account: int) -> Iterator[None]:
        """An account that cannot pay for anything."""
        address = devnet_account(account).address
        balance = self.rpc("eth_getBalance", address, "latest")
        self.rpc("anvil_setBalance", address, "0x1")
        try:
            yield
        finally:
            self.rpc("anvil_setBalance", address, balance)


@pytest.fixture(scope="module")
def deployed(_compiled_once: Path) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDPROOF_PROJECT", str(_compiled_once))
        for side in ("L2", "L1"):
            patch.setenv(f"FEDPROOF_DEVNET_{side}_PORT", str(free_port()))
        generator, data = np.random.default_rng(1), []
        for i in range(2):
            x, file = generator.random((6, 3)), _compiled_once / f"trainer{i}.npz"
            np.savez(file, x=x, y=np.eye(2)[(x[:, 0] > 0.5).astype(int)])
            data += ["--data", str(file)]
        try:
            assert run(["devnet", "up"]) == 0
            assert run(["deploy", "--circuit", "tiny", "--average", "tiny-average"]) == 0
            assert run(["round", "register", "tiny", *data, "--steps", "1"]) == 0
            project = Project.find()
            subject, place = aggregation.of_federation(project, None, None)
            store = CircuitStore(project)
            yield Site(_compiled_once, place, subject, (store.get("tiny"), store.get("tiny-average")))
        finally:
            run(["devnet", "down"])


@pytest.fixture
def site(deployed: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("FEDPROOF_PROJECT", str(deployed.root))
    return deployed


@pytest.fixture
def submitted(site: Site, fedproof: Command) -> int:
    """A round that everyone has submitted to, and nobody has ended."""
    opened = fedproof("round", "run", "--leave-open", "--json").json["round"]
    assert site.hub.phase(site.model_id, opened) is Phase.FINALIZE
    return int(opened)


def service_of(site: Site, account: int, folder: Path, prover: Any) -> AggregatorService:
    subject = aggregation.Subject(
        "devnet", site.model_id, "tiny", "tiny-average", folder, site.subject.trainers
    )
    hub = aggregation.hub_of(site.place, account)
    models = aggregation.models_of(subject, site.place, hub, site.circuits, prover, None)
    aggregation.take_genesis(models, site.subject.folder / "models" / "round0.json")
    stop = Stop()
    return AggregatorService(
        Settler(models.averaging, models, stop), Journal(folder / "outcomes.jsonl"), stop, Pace(0.1, 1, 60)
    )


def test_two_aggregators_race_for_a_round(site: Site, submitted: int, tmp_path: Path) -> None:
    """Both transactions are sent before either is mined: one reverts, and costs its sender gas alone."""
    outcomes: dict[int, Outcome] = {}

    def serve(account: int, prover: Any) -> None:
        service = service_of(site, account, tmp_path / str(account), prover)
        (outcomes[account],) = service.run(1)

    site.rpc("evm_setAutomine", False)
    try:
        with proving(Project.find()) as prover:
            threads = [threading.Thread(target=serve, args=(a, prover)) for a in (FIRST, SECOND)]
            for thread in threads:
                thread.start()
            wait_for(lambda: site.rpc("txpool_status")["pending"] == "0x2")
            site.rpc("evm_mine")
            for thread in threads:
                thread.join(240)
    finally:
        site.rpc("evm_setAutomine", True)
    assert {o.kind for o in outcomes.values()} == {Kind.FINALIZED, Kind.OVERTAKEN}
    state = site.hub.round(site.model_id, submitted)
    for account, outcome in outcomes.items():
        mine = devnet_account(account).address == state.finalizer
        assert outcome.kind is (Kind.FINALIZED if mine else Kind.OVERTAKEN)
        assert outcome.gas
        assert outcome.gas > 21_000
        kept = PublishedModel.load(tmp_path / str(account) / "models" / f"round{submitted}.json")
        site.circuits[0].committer.check_opening(list(kept.vector), state.result)
        assert (kept.registry, kept.round) == (site.place.deployment.registry, submitted)
    # the next round of the trainers here stands on what others have finalized
    (site.subject.folder / "models").mkdir(exist_ok=True)
    kept.save(site.subject.folder / "models" / f"round{submitted}.json")


def test_stopped_and_killed_it_proves_nothing_twice(site: Site, submitted: int) -> None:
    """Stopped while it proves; killed with the proof made and the round not ended; then left in peace."""
    folder, port = site.subject.folder, free_port()
    command = ["aggregate", "--account", str(FIRST), "--poll", "0.1", "--json"]
    stopped = process(site, command)
    wait_for(lambda: bool(site.jobs.jobs([State.RUNNING])), stopped)
    stopped.send_signal(signal.SIGTERM)
    answer = finish(stopped, 120)
    assert (answer.code, answer.json["stopped"], answer.json["outcomes"]) == (0, True, []), answer.err
    (job,) = site.jobs.jobs(circuit="tiny-average", limit=1)
    # Given back for the next to prove; or just proven, for the circuit is small.
    assert job.state in {State.QUEUED, State.DONE}
    assert site.hub.phase(site.model_id, submitted) is Phase.FINALIZE

    with site.poor(FIRST):
        first = process(site, command)
        wait_for(lambda: b"InsufficientFunds" in tail(folder) or b"cannot pay" in tail(folder), first)
        first.kill()
        first.communicate()
    proof = folder / "averages" / f"round{submitted}.proof.json"
    made = proof.stat().st_mtime_ns
    assert site.hub.phase(site.model_id, submitted) is Phase.FINALIZE
    assert site.jobs.get(job.key).state is State.DONE, "the very job that the stopped one began"
    done = len(site.jobs.jobs(circuit="tiny-average"))

    second = process(site, [*command, "--serve", str(port), "--least-free", "0"])
    wait_for(lambda: site.hub.phase(site.model_id, submitted) is Phase.FINALIZED, second)
    wait_for(lambda: b'"finalized"' in tail(folder), second)
    assert proof.stat().st_mtime_ns == made
    assert len(site.jobs.jobs(circuit="tiny-average")) == done
    ready = json.loads(ask(port, "/readyz"))
    assert ready["ok"], ready
    assert set(ready["checks"]) == {"chain", "disk", "loop", "queue", "rounds", "srs"}
    text = ask(port, "/metrics")
    assert 'fedproof_round_outcomes_total{outcome="finalized"} 1.0' in text
    assert 'fedproof_prove_seconds_count{backend="cpu",circuit="tiny-average"}' in text
    assert f"fedproof_latest_round {submitted}.0" in text
    second.send_signal(signal.SIGTERM)
    answer = finish(second, 120)
    assert answer.code == 0, answer.err
    assert answer.json["stopped"]
    assert [(o["round"], o["kind"]) for o in answer.json["outcomes"]] == [(submitted, "finalized")]


def test_an_update_that_is_another_is_refused_and_left_out(
    site: Site, submitted: int, fedproof: Command
) -> None:
    cheat = devnet_account(2).address
    path = site.subject.folder / "trainers" / cheat / f"round{submitted}" / "update.json"
    kept = json.loads(path.read_text())
    kept["update"][0] += 1
    path.write_text(json.dumps(kept))
    refused = fedproof("aggregate", "--once")
    refused.failed(3, f"update of {cheat}")
    assert site.hub.phase(site.model_id, submitted) is Phase.FINALIZE
    path.unlink()
    fedproof("aggregate", "--once", "--patience", 0).failed(75, f"no update of {cheat}", "guardians")

    guardians = sorted(map(devnet_account, GUARDIANS), key=lambda a: int(a.address, 16))
    signed = site.hub.sign_leave_out(site.model_id, submitted, cheat, "withheld", guardians)
    site.hub.leave_out(site.model_id, submitted, cheat, "withheld", signed)
    done = fedproof("aggregate", "--once", "--json")
    assert done.code == 0, done.err
    (outcome,) = done.json["outcomes"]
    assert (outcome["round"], outcome["kind"]) == (submitted, "finalized")
    assert outcome["detail"] == "1 updates averaged"
    lines = (site.subject.folder / "outcomes.jsonl").read_text().splitlines()
    told = [o for o in map(json.loads, lines) if o["round"] == submitted]
    assert [(o["kind"], o["trainers"]) for o in told] == [
        ("refused", [cheat]),
        ("missing", [cheat]),
        ("finalized", []),
    ]


def test_a_model_that_was_registered_elsewhere(
    site: Site, fedproof: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known by its id, its circuits and a store; earlier updates are not there, so its model is not known."""
    monkeypatch.setenv("FEDPROOF_STORE", str(tmp_path / "store"))
    number = fedproof("round", "run", "--leave-open", "--json").json["round"]
    known = ["--model-id", "0x" + site.model_id.hex(), "--circuit", "tiny", "--account", FIRST, "--once"]
    genesis = site.subject.folder / "models" / "round0.json"
    fedproof("aggregate", *known, "--average", "tiny").failed(2, "'tiny'", "average")
    later = sorted(genesis.parent.glob("round*.json"))[-1]
    fedproof("aggregate", *known, "--genesis", later, "--folder", tmp_path).failed(3, later.name)
    told = fedproof("aggregate", *known, "--genesis", genesis, "--folder", tmp_path / "own", "--json").json
    (outcome,) = told["outcomes"]
    assert (outcome["round"], outcome["kind"], outcome["model"]) == (number, "finalized", None)
    monkeypatch.delenv("FEDPROOF_STORE")
    (outcome,) = fedproof("aggregate", "--once", "--json").json["outcomes"]
    assert outcome["kind"] == "overtaken"
    assert Path(outcome["model"]).is_file(), "made from the updates in the trainers' folders"


def process(site: Site, arguments: list[str]) -> subprocess.Popen[str]:
    ports = {name: value for name, value in os.environ.items() if name.startswith("FEDPROOF_DEVNET_")}
    return start(site.root, arguments, env=ports)


def tail(folder: Path) -> bytes:
    """The newest outcome."""
    lines = (folder / "outcomes.jsonl").read_bytes().splitlines() if folder.is_dir() else []
    return lines[-1] if lines else b""


def ask(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return str(answer.read().decode())


def wait_for(
    condition: Callable[[], bool], of: subprocess.Popen[str] | None = None, seconds: float = 240
) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and (of is None or of.poll() is None):
        with contextlib.suppress(FileNotFoundError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(of.communicate() if of and of.poll() is not None else "it did not come to pass")
