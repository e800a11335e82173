"""Whole rounds by hand with the command: devnet, deploy, register, run, relay, verify-model; real proofs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_project import Command, finish, free_port, start, worker_of, write_json

from fedproof.cli import run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def deployed(_compiled_once: Path) -> Iterator[tuple[Path, str]]:
    """The compiled project on a running devnet with one model of two trainers: its root, the L1's URL."""
    ports = {side: free_port() for side in ("l2", "l1")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDPROOF_PROJECT", str(_compiled_once))
        for side, port in ports.items():
            patch.setenv(f"FEDPROOF_DEVNET_{side.upper()}_PORT", str(port))
        try:
            assert run(["devnet", "up"]) == 0
            assert run(["deploy", "--circuit", "tiny", "--average", "tiny-average"]) == 0
            assert run(["round", "register", "tiny", *_data(_compiled_once), "--steps", "1"]) == 0
            yield _compiled_once, f"http://127.0.0.1:{ports['l1']}"
        finally:
            run(["devnet", "down"])


def _data(folder: Path) -> list[str]:
    generator = np.random.default_rng(1)
    arguments = []
    for i in range(2):
        x = generator.random((6, 3))
        np.savez(folder / f"trainer{i}.npz", x=x, y=np.eye(2)[(x[:, 0] > 0.5).astype(int)])
        arguments += ["--data", str(folder / f"trainer{i}.npz")]
    return arguments


@pytest.fixture
def live(deployed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    monkeypatch.setenv("FEDPROOF_PROJECT", str(deployed[0]))
    return deployed


def test_a_round_by_hand(live: tuple[Path, str], fedproof: Command, tmp_path: Path) -> None:
    _, url = live
    before = fedproof("round", "status", "--json").json
    assert before["round"] is None
    fedproof("relay", 1).failed(2, "there is no round 1")
    opened = fedproof("round", "open", "--json").json
    assert opened["round"] == 1
    fedproof("relay", 1).failed(2, "round 1 is in phase commit")
    fedproof("round", "cancel").failed(2, "round 1 is in phase commit")
    played = fedproof("round", "run", "--json").json["rounds"]
    assert [p["round"] for p in played] == [1], "an open round is played, not a new one opened"
    status = fedproof("round", "status", "--json").json["round"]
    assert (status["phase"], status["submitted"], status["steps"]) == ("finalized", 2, 2)
    model = Path(played[0]["model"])

    fedproof("verify-model", model, "--rpc", url).failed(3, "the registry has no hash for round 1")
    sent = fedproof("relay", 1, "--json").json
    assert sent["model_hash"] == played[0]["model_hash"] == status["model_hash"]
    answer = fedproof("verify-model", model, "--rpc", url)
    assert answer.code == 0
    assert "make sure that it is the right one" in answer.err
    found = fedproof("verify-model", model, "--rpc", url, "--registry", sent["registry"], "--json").json
    assert (found["valid"], found["model_hash"]) == (True, sent["model_hash"])

    changed = json.loads(model.read_text())
    changed["vector"][0] += 1
    forged = write_json(tmp_path / "forged.json", changed)
    fedproof("verify-model", forged, "--rpc", url).failed(3, "these weights have the hash")
    other = "0x" + "11" * 20
    fedproof("verify-model", model, "--rpc", url, "--registry", other).failed(2, other)


def test_a_second_deployment_continues_the_first(live: tuple[Path, str], fedproof: Command) -> None:
    record = live[0] / "build" / "deployments" / "devnet.json"
    hub = json.loads(record.read_text())["l2"]["contracts"]["FedproofHub"]["address"]
    again = fedproof("deploy", "--circuit", "tiny", "--average", "tiny-average", "--json")
    assert again.code == 0, again.err
    assert again.json["hub"] == hub


def test_more_steps_than_an_average_holds(live: tuple[Path, str], fedproof: Command) -> None:
    answer = fedproof("round", "register", "tiny", "--model", "many", *_data(live[0]), "--steps", "3")
    answer.failed(2, "3 steps a round; the average holds updates of 2")
    assert not (live[0] / "build" / "federations" / "many").exists()


def test_a_name_is_registered_once(live: tuple[Path, str], fedproof: Command) -> None:
    kept = live[0] / "build" / "federations" / "tiny"
    before = sorted(kept.rglob("*"))
    answer = fedproof("round", "register", "tiny", *_data(live[0]), "--steps", "1")
    answer.failed(2, "'tiny' is registered on this hub already", "--model")
    assert sorted(kept.rglob("*")) == before


def test_a_round_goes_on_after_its_prover_was_killed(live: tuple[Path, str], fedproof: Command) -> None:
    """A worker, which is replaced; then the command itself, in the middle of other proofs."""
    ports = {name: value for name, value in os.environ.items() if name.startswith("FEDPROOF_DEVNET_")}
    before = {j["key"] for j in fedproof("jobs", "list", "--json").json["jobs"]}
    process = start(live[0], ["round", "run"], env=ports)
    worker_of(process).kill()
    worker_of(process)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    stopped = fedproof("round", "status", "--json").json["round"]
    assert stopped["phase"] in {"commit", "submit"}
    left = [j for j in fedproof("jobs", "list", "--json").json["jobs"] if j["key"] not in before]
    assert {j["circuit"] for j in left} == {"tiny"}
    assert "queued" in {j["state"] for j in left}, "what was in the middle is not lost"
    played = fedproof("round", "run", "--json").json["rounds"]
    assert str(played[0]["round"]) == stopped["number"]
    assert fedproof("round", "status", "--json").json["round"]["phase"] == "finalized"
    made = [j for j in fedproof("jobs", "list", "--json").json["jobs"] if j["key"] not in before]
    assert {j["key"] for j in left} < {j["key"] for j in made}, "the same proofs, and the average"
    assert {j["state"] for j in made} == {"done"}
    assert len(made) == 3, "a step of each of two trainers, and the average"
    for job in made:
        attempts = fedproof("jobs", "show", job["key"], "--json").json["attempts_made"]
        assert [a["outcome"] for a in attempts].count("done") == 1


def test_a_restarted_devnet_has_forgotten_everything(live: tuple[Path, str], fedproof: Command) -> None:
    assert fedproof("devnet", "down").code == 0
    fedproof("round", "status").failed(75, "fedproof devnet up")
    assert fedproof("devnet", "up").code == 0
    fedproof("round", "status").failed(70, "fedproof deploy")
    assert fedproof("deploy", "--circuit", "tiny", "--average", "tiny-average").code == 0
    fedproof("round", "run").failed(2, "on a hub that is gone", "fedproof round register")
    assert fedproof("round", "register", "tiny", *_data(live[0]), "--steps", "1").code == 0
    assert [p["round"] for p in fedproof("round", "run", "--json").json["rounds"]] == [1]
