"""``fedproof jobs``: what is queued is listed, shown, given up, tried again, worked on."""

from __future__ import annotations

import io
import json
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_project import STEP, Answer, Command, finish, held_worker_of, start, worker_of, write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "jobs"))

from jobs_world import WORK, CountingProver

from fedproof.errors import TerminalError
from fedproof.jobs import Engine, JobStore, PoisonedJob, State
from fedproof.provers.base import ProverKilled


@pytest.fixture
def store(project: Path) -> Iterator[JobStore]:
    """The queue of the empty project."""
    store = JobStore(project / "build" / "jobs")
    yield store
    store.close()


def queued(store: JobStore, count: int) -> list[str]:
    return [store.submit(WORK, [[i]]).key for i in range(count)]


def fail(store: JobStore, error: Exception) -> str:
    claim = store.claim("host|1|1|1", "counting", toolchain=WORK.toolchain)
    assert claim is not None
    store.fail(claim, error)
    return claim.key


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> CountingProver:
    """What ``jobs run`` opens."""
    made = CountingProver()
    monkeypatch.setattr("fedproof.provers.registry.open_prover", lambda _: made)
    return made


def states(answer: Answer) -> list[str]:
    return [j["state"] for j in answer.json["jobs"]]


@pytest.mark.reference
def test_an_empty_queue(project: Path, fedproof: Command) -> None:
    answer = fedproof("jobs", "list", "--json")
    assert answer.json == {"jobs": [], "counts": dict.fromkeys(State, 0)}
    assert stat.S_IMODE((project / "build" / "jobs").stat().st_mode) == 0o700


@pytest.mark.reference
def test_jobs_are_listed_and_shown(store: JobStore, fedproof: Command) -> None:
    keys = queued(store, 3)
    failed = fail(store, TerminalError("pk.key is not in there", hint="compile again"))
    answer = fedproof("jobs", "list", "--json")
    assert [j["key"] for j in answer.json["jobs"]] == keys[::-1]
    assert answer.json["counts"] == {"queued": 2, "running": 0, "done": 0, "failed": 1, "cancelled": 0}
    assert answer.json["jobs"][0]["left_s"] == WORK.expected_s
    assert states(fedproof("jobs", "list", "--state", "failed", "--json")) == ["failed"]
    assert states(fedproof("jobs", "list", "--limit", "1", "--json")) == ["queued"]
    assert states(fedproof("jobs", "list", "--circuit", "other", "--json")) == []
    text = fedproof("jobs", "list").out
    assert keys[0][:12] in text
    assert "TerminalError" in text
    shown = fedproof("jobs", "show", failed[:8], "--json").json
    assert shown["key"] == failed
    assert shown["message"] == "pk.key is not in there"
    assert [a["outcome"] for a in shown["attempts_made"]] == ["failed"]
    assert "compile again" in fedproof("jobs", "show", failed[:8]).out


@pytest.mark.reference
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "f" * 64], ["no job", "fedproof jobs list"]),
        (["show", ""], ["3 jobs start with ''"]),
        (["list", "--state", "lost"], ["'lost' is no state", "queued, running, done, failed, cancelled"]),
        (["retry"], ["keys of jobs or --failed"]),
        (["cancel"], ["keys of jobs or --queued"]),
        (["cancel", "--queued", "ab"], ["one of both"]),
        (["cancel", "ab", "--circuit", "x"], ["--circuit goes with --queued"]),
    ],
)
def test_what_is_no_job(arguments: list[str], words: list[str], store: JobStore, fedproof: Command) -> None:
    queued(store, 3)
    fedproof("jobs", *arguments).failed(2, *words)


@pytest.mark.reference
def test_jobs_are_retried(store: JobStore, fedproof: Command) -> None:
    queued(store, 2)
    poisoned = fail(store, TerminalError("broken"))
    other = fail(store, TerminalError("broken"))
    assert fedproof("jobs", "retry", poisoned, "--json").json == {"jobs": [poisoned]}
    assert store.get(poisoned).state is State.QUEUED
    assert fedproof("jobs", "retry", "--failed", "--json").json == {"jobs": [other]}
    fedproof("jobs", "retry", other).failed(2, "is queued", "failed jobs are retried")


@pytest.mark.reference
def test_jobs_are_cancelled(store: JobStore, fedproof: Command) -> None:
    keys = queued(store, 3)
    fedproof("jobs", "cancel", keys[0])
    assert store.get(keys[0]).state is State.CANCELLED
    fedproof("jobs", "cancel", keys[0]).failed(2, "nothing to cancel")
    fedproof("jobs", "retry", keys[0]).failed(2, "is cancelled")
    assert fedproof("jobs", "cancel", "--queued").out == "cancelled: 2\n"
    assert list(store.values.folder.iterdir()) == []


@pytest.mark.reference
def test_the_queue_is_worked_on(store: JobStore, backend: CountingProver, fedproof: Command) -> None:
    keys = queued(store, 4)
    backend.faults = [None, TerminalError("broken")]
    answer = fedproof("jobs", "run", "--json")
    assert answer.code == 70
    document = answer.json
    assert sorted([*document["proven"], *document["failed"]]) == sorted(keys)
    assert (len(document["failed"]), document["at_once"], document["prover"]) == (1, 2, "counting")
    assert backend.closed == 1
    assert fedproof("jobs", "run").code == 0
    assert fedproof("jobs", "retry", "--failed").code == 0
    answer = fedproof("jobs", "run")
    assert (answer.code, answer.out.split(",")[0]) == (0, "1 proven")
    assert len(backend.proven) == 4


@pytest.mark.reference
def test_log_lines_say_which_job_and_which_attempt(
    store: JobStore, backend: CountingProver, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPROOF_LOG", "json")
    monkeypatch.setattr("fedproof.jobs.states.BACKOFF_S", 0.01)
    [key] = queued(store, 1)
    backend.faults = [ProverKilled("killed by SIGKILL")]
    answer = fedproof("jobs", "run", "--json")
    lines = [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]
    told = [(n["event"], n["attempt"]) for n in lines if n.get("job") == key[:12]]
    assert told == [("job started", 1), ("job attempt failed", 1), ("job started", 2), ("job done", 2)]
    assert {(n["circuit"], n["backend"]) for n in lines if "job" in n} == {("tiny", "counting")}
    assert next(n for n in lines if n["event"] == "job done")["prove_s"] == 0.5
    assert answer.json["proven"] == [key]


@pytest.mark.reference
def test_a_damaged_queue(project: Path, fedproof: Command) -> None:
    (project / "build" / "jobs").mkdir(parents=True)
    (project / "build" / "jobs" / "jobs.sqlite").write_bytes(b"garbage" * 1000)
    answer = fedproof("jobs", "list", "--json").failed(70, "jobs.sqlite is damaged", "move the file away")
    assert answer.json["error"] == "JobsDamaged"


@pytest.mark.reference
def test_the_queue_may_lie_elsewhere(
    project: Path, tmp_path: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPROOF_JOBS", str(tmp_path / "elsewhere"))
    assert fedproof("jobs", "list").code == 0
    assert (tmp_path / "elsewhere" / "jobs.sqlite").is_file()
    assert not (project / "build").exists()


@pytest.mark.reference
def test_a_terminal_shows_bars(store: JobStore) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from fedproof.cli.jobs_progress import _Shown

    keys = queued(store, 3)
    screen = io.StringIO()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=Console(file=screen, force_terminal=True, width=100)) as bars:
        shown = _Shown(bars, store, Engine(CountingProver(), store))
        assert store.claim("host|1|1|1", "counting", key=keys[1]) is not None
        shown.refresh()
        assert [t.description for t in bars.tasks] == ["all jobs", f"tiny {keys[1][:12]}"]
        assert bars.tasks[0].fields["left"] == "about 3 s left"
        store.clock = lambda: time.time() + 100  # of another host only the lease tells
        assert len(store.take_back()) == 1
        shown.refresh()
        assert [(t.completed, t.total) for t in bars.tasks] == [(0, 3)]
    assert "all jobs" in screen.getvalue()


@pytest.mark.prove
def test_a_killed_command_goes_on_with_the_values_it_had(
    compiled: Path, tmp_path: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A queue of its own: tests of what else kills a command leave jobs in the shared project's.
    jobs = {"FEDPROOF_JOBS": str(tmp_path / "jobs")}
    monkeypatch.setenv("FEDPROOF_JOBS", jobs["FEDPROOF_JOBS"])
    given = write_json(tmp_path / "in.json", STEP | {"model": [0.75] * 8})
    arguments = ["prove", "tiny", "-i", str(given), "-o", str(tmp_path / "p.json"), "--step"]
    process = start(compiled, [*arguments, str(tmp_path / "s.json")], env=jobs)
    worker_of(process)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    [asked] = (tmp_path / "jobs" / "asked").iterdir()
    assert stat.S_IMODE(asked.stat().st_mode) == 0o600
    [job] = fedproof("jobs", "list", "--state", "queued", "--json").json["jobs"]
    engine = start(compiled, ["jobs", "run"], env=jobs)
    held_worker_of(engine)
    engine.send_signal(signal.SIGTERM)
    assert finish(engine).code == 143
    ran = fedproof("jobs", "run", "--json")
    assert ran.json["proven"] == [job["key"]]
    answer = fedproof(*arguments, tmp_path / "s.json", "--json")
    assert answer.code == 0, answer.err
    shown = fedproof("jobs", "show", job["key"], "--json").json
    assert [a["outcome"] for a in shown["attempts_made"]] == ["orphaned", "released", "done"]
    kept = json.loads(Path(shown["proof"]).read_text())["proof"]
    assert json.loads((tmp_path / "p.json").read_text())["proof"] == "0x" + kept
    assert fedproof("verify", "tiny", tmp_path / "p.json").code == 0
    assert not asked.exists()
    # Called once more it is another proof: with salts of its own.
    assert fedproof(*arguments, tmp_path / "s.json").code == 0
    assert json.loads((tmp_path / "p.json").read_text())["proof"] != "0x" + kept


@pytest.mark.reference
def test_poison_and_death_are_told_apart() -> None:
    assert PoisonedJob("x").exit_code == 70
    assert ProverKilled("x").exit_code == 75
