"""What keeps a queue from working: a full disk, a damaged database, one of a newer version, lost files."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from jobs_world import WORK, CountingProver, reopened, run_of, write_circuit

from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.jobs import DurableProver, Engine, JobsDamaged, JobsNewer, JobStore, Outcome, State, database
from fedproof.jobs.owners import LEASE_S, new_owner, owner_lives, shown
from fedproof.jobs.runner import Runner
from fedproof.jobs.states import BACKOFF_MOST_S, backoff_s

pytestmark = pytest.mark.reference

SLOTS = [[1, 2], [3]]


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / "jobs")
    yield store
    store.close()


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"", b"SQLite format 3\0" + b"\0" * 100])
def test_a_file_that_is_no_database(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(content)
    if not content:
        JobStore(tmp_path).close()  # an empty file is an empty database
        return
    with pytest.raises(JobsDamaged, match=r"jobs\.sqlite is damaged.*move the file away"):
        JobStore(tmp_path)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(JobsDamaged, match="something else"):
        JobStore(tmp_path)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as other:
        assert other.execute("SELECT count(*) FROM songs").fetchone() == (0,)


def test_a_newer_database_is_refused_and_left_as_it_is(store: JobStore) -> None:
    store.submit(WORK, SLOTS)
    store.database._connection.execute(f"PRAGMA user_version = {database.VERSION + 1}")
    with pytest.raises(JobsNewer, match=r"version 2, this Fedproof knows up to 1.*update Fedproof"):
        reopened(store)
    assert len(store.jobs()) == 1


@pytest.mark.parametrize("page", range(1, 8))
def test_damage_is_named_and_what_was_proven_is_found_again(page: int, tmp_path: Path) -> None:
    folder, srs = write_circuit(tmp_path / "circuit")
    with closing(JobStore(tmp_path / "jobs")) as store, DurableProver(CountingProver(), store) as prover:
        for i in range(40):
            prover.prove(folder, srs, [[i]])
    path = tmp_path / "jobs" / "jobs.sqlite"
    whole = path.read_bytes()
    assert len(whole) > 8 * 4096
    path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
    with pytest.raises(JobsDamaged):
        JobStore(tmp_path / "jobs")
    path.unlink()
    with closing(JobStore(tmp_path / "jobs")) as store, DurableProver(CountingProver(), store) as prover:
        assert prover.prove(folder, srs, [[7]]) == run_of([[7]])
        assert prover.inner.proven == []


def test_tables_that_vanish_under_a_store(store: JobStore) -> None:
    store.database._connection.execute("DROP TABLE attempts")
    with pytest.raises(JobsDamaged, match="no such table"):
        store.jobs()


def test_a_lock_that_is_held_too_long(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.05)
    with closing(reopened(store)) as other:
        with store.database.change(), pytest.raises(RetryableError, match="locked"):
            other.submit(WORK, SLOTS)
        assert other.submit(WORK, SLOTS).state is State.QUEUED


FULL = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from jobs_world import WORK, run_of
from fedproof.errors import TerminalError
from fedproof.jobs import JobStore, State
import resource
store = JobStore(Path(sys.argv[1]))
size = (Path(sys.argv[1]) / "jobs.sqlite-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30_000,) * 2)
for i in range(1000):
    try:
        store.submit(WORK, [[i]])
    except TerminalError as e:
        print("refused", i, e)
        break
"""


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "prover")]
    code = FULL.format(paths=paths)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    word, count, message = done.stdout.split(maxsplit=2)
    assert word == "refused"
    assert int(count) > 0
    assert "make room on the disk" in message
    with closing(JobStore(tmp_path)) as store:
        jobs = store.jobs()
        assert len(jobs) == int(count)
        assert {j.state for j in jobs} == {State.QUEUED}
        for job in jobs:
            store.values.load(job.key, job.work)


@pytest.mark.parametrize("what", ["values", "proofs"])
def test_a_disk_that_is_full_of_files(
    what: str, store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit = write_circuit(tmp_path / "circuit")
    room = {"values": True, "proofs": True, what: False}
    whole = os.fsync

    def no_space(descriptor: int) -> None:
        where = Path(f"/proc/self/fd/{descriptor}").readlink().parent.name
        if not room.get(where, True):
            raise OSError(28, "No space left on device")
        whole(descriptor)

    monkeypatch.setattr("fedproof.files.os.fsync", no_space)
    with DurableProver(CountingProver(), store) as prover:
        with pytest.raises(TerminalError, match="No space left"):
            prover.prove(*circuit, SLOTS)
        states = [j.state for j in store.jobs()]
        assert states == ([] if what == "values" else [State.FAILED])
        room[what] = True
        assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)


def test_what_could_not_be_written_is_written_later(store: JobStore, tmp_path: Path) -> None:
    """The end of an attempt is refused by the disk; its process lives, so that nobody else takes the job."""
    circuit = write_circuit(tmp_path / "circuit")
    with DurableProver(CountingProver(TerminalError("first")), store) as prover:
        fail, refusals = store.fail, [TerminalError("the disk is full")]

        def refusing(*given: object) -> object:
            if refusals:
                raise refusals.pop()
            return fail(*given)

        store.fail = refusing
        with pytest.raises(TerminalError, match="first"):
            prover.prove(*circuit, SLOTS)
        assert [j.state for j in store.jobs()] == [State.RUNNING]
        assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)


def test_damaged_values_are_not_proven(store: JobStore, tmp_path: Path) -> None:
    job = store.submit(WORK, SLOTS)
    path = store.values.path(job.key)
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    inner = CountingProver()
    with Engine(inner, store) as engine:
        engine.drain()
    assert inner.proven == []
    assert "damaged" in (store.get(job.key).message or "")
    path.unlink()
    with pytest.raises(CallerError, match="ask for the proof again"):
        store.retry(job.key)
    assert store.submit(WORK, SLOTS).state is State.QUEUED
    with Engine(inner, store) as engine:
        engine.drain()
    assert inner.proven == [SLOTS]


@pytest.mark.parametrize("how", ["removed", "damaged", "half"])
def test_a_lost_proof_is_made_again(how: str, store: JobStore, tmp_path: Path) -> None:
    circuit = write_circuit(tmp_path / "circuit")
    with DurableProver(CountingProver(), store) as prover:
        prover.prove(*circuit, SLOTS)
        path = store.results.path(store.jobs()[0].key)
        text = path.read_text()
        if how == "removed":
            path.unlink()
        else:
            proof = run_of(SLOTS).proof.hex()
            path.write_text(text.replace(proof, "00" + proof[2:]) if how == "damaged" else text[:100])
        assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)
        assert len(prover.inner.proven) == 2


def test_private_files_are_private_and_swept(store: JobStore) -> None:
    job = store.submit(WORK, SLOTS)
    assert stat.S_IMODE(store.values.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.values.path(job.key).stat().st_mode) == 0o600
    strays = [store.values.path("0" * 64), store.values.folder / ".x.values.abc.tmp"]
    fresh = store.values.path("1" * 64)
    for stray in (*strays, fresh):
        stray.write_bytes(b"private")
    for stray in strays:
        os.utime(stray, (time.time() - 4000,) * 2)
    reopened(store).close()
    assert sorted(store.values.folder.iterdir()) == sorted([store.values.path(job.key), fresh])


def test_who_lives() -> None:
    own = new_owner()
    host, pid, started, _ = own.split("|")
    assert owner_lives(own, 0.0, 1e12), "of a process on this host no lease is asked"
    assert not owner_lives(f"{host}|{pid}|{int(started) - 1}|x", 1e12, 0.0), "its number was used again"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        assert not owner_lives(f"{host}|{child.pid}|{started}|x", 1e12, 0.0)
    assert owner_lives("elsewhere/1/2|1|1|x", 100.0, 99.0)
    assert not owner_lives("elsewhere/1/2|1|1|x", 100.0, 100.0)
    assert shown("elsewhere/1/2|17|1|x") == "17@elsewhere"


def test_a_zombie_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    owner = f"{new_owner().split('|')[0]}|{child.pid}|{fields[19]}|x"
    assert owner_lives(owner, 0.0, 1.0)
    child.kill()
    ends = time.monotonic() + 10
    while owner_lives(owner, 0.0, 1.0):
        assert time.monotonic() < ends
    child.wait()


def test_leases_are_renewed(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedproof.jobs.runner.LEASE_S", 0.04)
    job = store.submit(WORK, SLOTS)
    now = store.clock()
    store.clock = lambda: now
    runner = Runner(CountingProver(), store)
    claim = runner.claim()
    assert claim is not None

    def lease() -> float:
        return store.database.rows("SELECT lease FROM jobs")[0]["lease"]

    assert lease() == now + LEASE_S
    now += 10
    ends = time.monotonic() + 10
    while lease() != now + LEASE_S:
        assert time.monotonic() < ends
        time.sleep(0.01)
    runner.run(claim, SLOTS)
    runner.close()
    assert [a.outcome for a in store.attempts(job.key)] == [Outcome.DONE]


def test_pauses_grow_and_end() -> None:
    assert [backoff_s(n) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert backoff_s(100) == BACKOFF_MOST_S
