"""What stops a command from outside: a full disk, a killed prover, a silent chain, a port in use. Nothing is
left half-written, the exit code says whose turn it is, and the same call succeeds once the cause is gone."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cli_project import (
    STEP,
    TRAINING,
    Command,
    finish,
    free_port,
    held_worker_of,
    start,
    worker_of,
    write_json,
    write_project,
)


def store_of(project: Path) -> list[str]:
    """What lies in the store, lock files aside."""
    store = project / "build" / "store"
    files = [p for p in store.rglob("*") if p.is_file() and not p.name.endswith(".lock")]
    return sorted(str(p.relative_to(store)) for p in files)


@pytest.mark.witness
def test_an_unsupported_op_is_named_with_where_it_stands(project: Path, fedproof: Command) -> None:
    (project / "circuits" / "tiny.toml").write_text(TRAINING.format(model="Curved"))
    answer = fedproof("circuits", "compile", "tiny")
    answer.failed(2, "aten.asin.default has no canonical form", "docs/circuits.md lists")
    assert store_of(project) == []


@pytest.mark.prove
def test_a_full_disk_while_writing_keys(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    limit = 600_000  # between the SRS and the proving key of this circuit

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    answer = finish(start(project, ["circuits", "compile", "tiny"], preexec_fn=small_disk))
    answer.failed(70, "Failed to run setup: [io]")
    assert store_of(project) == []
    again = finish(start(project, ["circuits", "compile", "tiny", "--json"]))
    assert again.json["circuits"][0]["compiled"] is True, "stdout is JSON whatever the libraries print"
    assert max(p.stat().st_size for p in (project / "build" / "store").rglob("pk.key")) > limit


@pytest.mark.prove
def test_a_full_disk_while_writing_a_proof(
    compiled: Path, tmp_path: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = "jobs"

    def no_space(descriptor: int) -> None:
        if full in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")

    given = write_json(tmp_path / "in.json", STEP | {"model": [0.125] * 8})
    (tmp_path / "p.json").write_text("an earlier proof")
    monkeypatch.setattr("fedproof.files.os.fsync", no_space)
    fedproof("prove", "tiny", "-i", given, "-o", tmp_path / "p.json").failed(70, "No space left", "jobs")
    full = str(tmp_path)
    fedproof("prove", "tiny", "-i", given, "-o", tmp_path / "p.json").failed(70, "No space left", "p.json")
    assert (tmp_path / "p.json").read_text() == "an earlier proof"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.json", "p.json"]
    full = "nowhere"
    made = len(fedproof("jobs", "list", "--json").json["jobs"])
    assert fedproof("prove", "tiny", "-i", given, "-o", tmp_path / "p.json").code == 0
    assert len(fedproof("jobs", "list", "--json").json["jobs"]) == made, "what was proven is not proven again"
    assert fedproof("verify", "tiny", tmp_path / "p.json").code == 0


@pytest.mark.prove
def test_a_prover_killed_in_the_middle(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    given = write_json(tmp_path / "in.json", STEP | {"model": [0.25] * 8})
    arguments = ("prove", "tiny", "-i", given, "-o", tmp_path / "p.json")
    process = start(compiled, [*map(str, arguments), "--json"])
    for _ in range(3):
        held_worker_of(process).send_signal(signal.SIGKILL)
    answer = finish(process).failed(70, "SIGKILL", "3 times", "fedproof jobs retry")
    assert answer.json["error"] == "PoisonedJob"
    assert [p.name for p in tmp_path.iterdir()] == ["in.json"]
    # It is not tried again until a person says so.
    fedproof(*arguments).failed(70, "3 times")
    [job] = fedproof("jobs", "list", "--state", "failed", "--json").json["jobs"]
    assert [a["outcome"] for a in fedproof("jobs", "show", job["key"], "--json").json["attempts_made"]] == (
        ["killed"] * 3
    )
    assert fedproof("jobs", "retry", job["key"][:12]).code == 0
    assert fedproof(*arguments).code == 0


@pytest.mark.prove
def test_a_prover_killed_once_is_replaced(compiled: Path, tmp_path: Path, fedproof: Command) -> None:
    given = write_json(tmp_path / "in.json", STEP | {"model": [0.375] * 8})
    process = start(compiled, ["prove", "tiny", "-i", given, "-o", tmp_path / "p.json"])
    held_worker_of(process).send_signal(signal.SIGKILL)
    answer = finish(process)
    assert answer.code == 0, answer.err
    assert "SIGKILL" in answer.err
    assert fedproof("verify", "tiny", tmp_path / "p.json").code == 0


@pytest.mark.prove
def test_a_compilation_killed_in_the_middle(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    process = start(project, ["circuits", "compile", "tiny"])
    worker_of(process).send_signal(signal.SIGKILL)
    finish(process).failed(75, "SIGKILL")
    assert store_of(project) == []


@pytest.mark.prove
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_takes_its_prover_along(
    number: signal.Signals, code: int, compiled: Path, tmp_path: Path
) -> None:
    given = write_json(tmp_path / "in.json", STEP | {"model": [0.5] * 8})
    process = start(compiled, ["prove", "tiny", "-i", given, "-o", tmp_path / "p.json"])
    worker = held_worker_of(process)
    process.send_signal(number)
    answer = finish(process)
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert [p.name for p in tmp_path.iterdir()] == ["in.json"]


@contextlib.contextmanager
def listener() -> Iterator[int]:
    """A port that is taken by a program that never answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.reference
def test_a_port_in_use(project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as port:
        monkeypatch.setenv("FEDPROOF_DEVNET_L2_PORT", str(port))
        monkeypatch.setenv("FEDPROOF_DEVNET_L1_PORT", str(free_port()))
        answer = fedproof("devnet", "up", "--json")
    answer.failed(75, f"port {port} is in use", "FEDPROOF_DEVNET_L2_PORT")
    assert answer.json["error"] == "RetryableError"
    assert [s["state"] for s in fedproof("devnet", "status", "--json").json["chains"]] == ["stopped"] * 2


@pytest.mark.reference
@pytest.mark.parametrize("port", ["http", "80", "70000", "-1"])
def test_a_port_that_is_none(
    port: str, project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPROOF_DEVNET_L1_PORT", port)
    fedproof("devnet", "up").failed(2, "FEDPROOF_DEVNET_L1_PORT", repr(port))


@pytest.mark.reference
def test_a_devnet_that_does_not_run(
    project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPROOF_DEVNET_L2_PORT", str(free_port()))
    monkeypatch.setenv("FEDPROOF_DEVNET_L1_PORT", str(free_port()))
    fedproof("deploy", "--circuit", "tiny").failed(75, "does not answer", "fedproof devnet up")
    # told before minutes are spent on compiling
    assert store_of(project) == []
    assert not list((project / "build").glob("deployments/*.json"))


def published(path: Path, **change: object) -> Path:
    document = {
        "circuit": "tiny",
        "logrows": 9,
        "srs_digest": "0" * 64,
        "fractional_bits": 6,
        "parameters": 8,
        "vector": [0] * 25,
        "model_id": "0x" + "ab" * 32,
        "round": 1,
        "registry": "0x" + "11" * 20,
        "l1_chain_id": 1337,
    }
    return write_json(path, document | change)


@pytest.mark.reference
def test_a_chain_that_does_not_answer(project: Path, tmp_path: Path, fedproof: Command) -> None:
    assert fedproof("srs", "development", 9).code == 0
    file = published(tmp_path / "model.json")
    url = f"http://127.0.0.1:{free_port()}/secret-token"
    for verbose in ([], ["--verbose"]):
        answer = fedproof(*verbose, "verify-model", file, "--rpc", url).failed(75, "does not answer")
        assert "secret-token" not in answer.err


@pytest.mark.reference
@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ({"registry": None}, [], ["names no registry", "--registry"]),
        ({"l1_chain_id": 5}, [], ["L1 chain 5", "--network"]),
        ({"l1_chain_id": None}, ["--network", "nowhere"], ["unknown network 'nowhere'"]),
        ({"model_id": "0x12"}, [], ["is not a model file", "model_id"]),
        ({"vector": [0.5]}, [], ["is not a model file", "vector"]),
        ({"vector": [2**80]}, [], ["is not a model file", "vector"]),
        ({"surplus": 1}, [], ["is not a model file", "surplus"]),
        ({"logrows": 12}, [], ["no SRS of k=12"]),
        ({}, ["--rpc", "not a url"], ["--rpc is not an http or https URL"]),
        ({}, ["--rpc", "ftp://host"], ["--rpc is not an http or https URL"]),
    ],
)
def test_a_wrong_model_file(
    change: dict[str, object],
    arguments: list[str],
    words: list[str],
    project: Path,
    tmp_path: Path,
    fedproof: Command,
) -> None:
    assert fedproof("srs", "development", 9).code == 0
    file = published(tmp_path / "model.json", **change)
    rpc = [] if "--rpc" in arguments else ["--rpc", "http://127.0.0.1:9"]
    fedproof("verify-model", file, *rpc, *arguments).failed(2, *words)
