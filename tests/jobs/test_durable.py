"""A prover that goes through the queue: one proof for equal content, whoever asks, and limits to trying."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_world import CountingProver, reopened, run_of, until, write_circuit

from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.jobs import DurableProver, Engine, JobCancelled, JobStore, Outcome, PoisonedJob, State, states
from fedproof.jobs.content import job_key, pack, unpack
from fedproof.jobs.describe import describe
from fedproof.provers.base import ProverKilled, WitnessRejected

pytestmark = pytest.mark.reference

SLOTS = [[1, -2], [2**250]]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(states, "BACKOFF_S", 0.01)


@pytest.fixture
def circuit(tmp_path):
    return write_circuit(tmp_path / "circuit")


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / "jobs")
    yield store
    store.close()


@pytest.fixture
def durable(store):
    made = []

    def make(*faults: BaseException | None, seconds: float = 0.0) -> DurableProver:
        made.append(DurableProver(CountingProver(*faults, seconds=seconds), store))
        return made[-1]

    yield make
    for prover in made:
        prover.close()


def private_files(store: JobStore) -> list[Path]:
    return list(store.values.folder.glob("*"))


def test_the_same_again_is_the_kept_proof(circuit, store, durable):
    prover = durable()
    first = prover.prove(*circuit, SLOTS)
    assert first == run_of(SLOTS)
    assert prover.prove(*circuit, SLOTS) == first
    assert durable().prove(*circuit, SLOTS) == first
    assert len(prover.inner.proven) == 1
    [job] = store.jobs()
    assert (job.state, job.attempts, job.work.circuit, job.backend) == (State.DONE, 1, "tiny", "counting")
    assert private_files(store) == []


def test_other_content_is_another_job(circuit, store, durable, tmp_path):
    prover = durable()
    for slots in (SLOTS, [[1, -2, 2**250]], [[1], [-2, 2**250]], [[1, -2], [2**250], []]):
        prover.prove(*circuit, slots)
    folder, srs = circuit
    (other := tmp_path / "other.srs").write_bytes(b"another")
    prover.prove(folder, other, SLOTS)
    assert len(prover.inner.proven) == 5
    work = describe(folder, srs, "a toolchain")
    keys = {
        job_key(w, pack(SLOTS)) for w in (work, replace(work, toolchain="b"), replace(work, circuit_key="c"))
    }
    assert len(keys) == 3
    # Where the files lie and how long it takes says nothing about the proof.
    assert job_key(replace(work, folder=tmp_path, expected_s=9), pack(SLOTS)) == job_key(work, pack(SLOTS))


def test_values_are_taken_modulo_r(circuit, durable):
    from fedproof.commitments import SCALAR_MODULUS

    prover = durable()
    prover.prove(*circuit, [[-1]])
    prover.prove(*circuit, [[SCALAR_MODULUS - 1]])
    assert len(prover.inner.proven) == 1
    assert unpack(pack([[5, -1], [], [0]])) == [[5, SCALAR_MODULUS - 1], [], [0]]


def test_a_folder_without_a_manifest_is_not_queued(store, durable, tmp_path):
    prover = durable()
    prover.prove(tmp_path, tmp_path / "srs", SLOTS)
    prover.prove(tmp_path, tmp_path / "srs", SLOTS)
    assert len(prover.inner.proven) == 2
    assert store.jobs() == []
    with pytest.raises(CallerError, match="no compiled circuit"):
        prover.submit(tmp_path, tmp_path / "srs", SLOTS)


def test_two_callers_at_once_prove_once(circuit, store, tmp_path):
    """Two provers on connections of their own, as two processes would have."""
    inner = CountingProver(seconds=0.3)
    second = reopened(store)
    provers = [DurableProver(inner, s) for s in (store, second) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda p: p.prove(*circuit, SLOTS), provers))
    assert len(inner.proven) == 1
    assert set(runs) == {run_of(SLOTS)}
    second.close()


@pytest.mark.parametrize(
    ("fault", "outcome", "limit"),
    [(ProverKilled("killed by SIGKILL"), Outcome.KILLED, 3), (RetryableError("silent"), Outcome.FAULT, 5)],
)
def test_a_passing_fault_is_tried_again_within_a_limit(fault, outcome, limit, circuit, store, durable):
    prover = durable(*[fault] * (limit - 1))
    assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)
    [job] = store.jobs()
    outcomes = [a.outcome for a in store.attempts(job.key)]
    assert outcomes == [outcome] * (limit - 1) + [Outcome.DONE]

    poisoned = durable(*[fault] * limit)
    with pytest.raises(PoisonedJob, match=f"{fault.message}.*{limit} times.*fedproof jobs retry"):
        poisoned.prove(*circuit, [[3]])
    assert poisoned.inner.faults == []
    # Asking again does not try again; a person does.
    with pytest.raises(PoisonedJob):
        poisoned.prove(*circuit, [[3]])
    assert poisoned.inner.proven == []
    [job] = store.jobs((State.FAILED,))
    assert store.retry(job.key).state is State.QUEUED
    assert poisoned.prove(*circuit, [[3]]) == run_of([[3]])


def test_killed_and_silent_are_counted_apart(circuit, durable):
    faults = [
        ProverKilled("k"),
        RetryableError("s"),
        ProverKilled("k"),
        RetryableError("s"),
        RetryableError("s"),
    ]
    assert durable(*faults).prove(*circuit, SLOTS) == run_of(SLOTS)


@pytest.mark.parametrize("fault", [WitnessRejected("no"), CallerError("no"), TerminalError("no")])
def test_what_cannot_help_is_not_tried_again(fault, circuit, store, durable):
    prover = durable(fault, None)
    with pytest.raises(type(fault), match="no"):
        prover.prove(*circuit, SLOTS)
    [job] = store.jobs()
    assert (job.state, job.attempts, job.cause) == (State.FAILED, 1, type(fault).__name__)
    assert (private_files(store) == []) == isinstance(fault, WitnessRejected)
    # Whoever asks again has a reason to.
    assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)
    assert private_files(store) == []


def test_a_bug_of_the_prover_is_raised_and_kept(circuit, store, durable):
    with pytest.raises(ZeroDivisionError):
        durable(ZeroDivisionError("oh")).prove(*circuit, SLOTS)
    [job] = store.jobs()
    assert (job.state, job.cause, job.message) == (State.FAILED, "ZeroDivisionError", "ZeroDivisionError: oh")


def test_an_interrupt_gives_the_job_back(circuit, store, durable):
    prover = durable(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        prover.prove(*circuit, SLOTS)
    [job] = store.jobs()
    assert (job.state, [a.outcome for a in store.attempts(job.key)]) == (State.QUEUED, [Outcome.RELEASED])
    with Engine(prover.inner, store) as engine:
        engine.drain()
    assert store.get(job.key).state is State.DONE
    assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)
    assert len(prover.inner.proven) == 1


def test_background_work_is_handed_out(circuit, store, durable):
    prover = durable(seconds=0.05)
    handles = [prover.submit(*circuit, [[i]]) for i in range(5)]
    with pytest.raises(TimeoutError):
        handles[-1].result(timeout=0.01)
    assert [h.result(timeout=30) for h in handles] == [run_of([[i]]) for i in range(5)]
    assert all(h.done() for h in handles)
    assert prover.inner.most_at_once == 2, "as many at a time as are of use"
    assert prover.submit(*circuit, [[0]]).result() == run_of([[0]])
    assert len(prover.inner.proven) == 5


def test_a_failure_in_the_background_is_raised_where_it_is_asked_for(circuit, durable):
    handle = durable(TerminalError("pk.key is not in the folder")).submit(*circuit, SLOTS)
    with pytest.raises(TerminalError, match=r"pk\.key"):
        handle.result(timeout=30)


def test_a_cancelled_job_is_no_longer_waited_for(circuit, store, durable):
    prover = durable(seconds=0.5)
    running = [prover.submit(*circuit, [[i]]) for i in range(2)]
    until(lambda: len(store.jobs((State.RUNNING,))) == 2)
    queued = prover.submit(*circuit, SLOTS)
    queued.cancel()
    with pytest.raises(JobCancelled, match="was cancelled"):
        queued.result(timeout=30)
    # What runs goes on, and is kept if it comes to an end.
    running[0].cancel()
    assert running[0].result(timeout=30) == run_of([[0]])


def test_cancelled_while_its_attempt_fails(circuit, store, durable):
    prover = durable(ProverKilled("killed"), seconds=0.3)
    handle = prover.submit(*circuit, SLOTS)
    until(lambda: handle.job.state is State.RUNNING)
    handle.cancel()
    with pytest.raises(JobCancelled):
        handle.result(timeout=30)
    assert private_files(store) == []


def test_closing_ends_the_inner_prover_and_leaves_the_rest_queued(circuit, store, durable):
    prover = durable(seconds=0.2)
    handles = [prover.submit(*circuit, [[i]]) for i in range(6)]
    until(lambda: store.jobs((State.RUNNING,)))
    prover.close()
    assert prover.inner.closed == 1
    states_ = {h.job.state for h in handles}
    assert states_ <= {State.DONE, State.QUEUED}
    assert State.QUEUED in states_
    with pytest.raises(CallerError, match="nobody works on"):
        handles[-1].result()


def test_workers_ended_by_closing_do_not_count_against_the_job(circuit, store):
    ended = threading.Event()

    class Ended(CountingProver):
        def prove(self, *given):
            ended.wait(30)
            raise ProverKilled("the pool was closed")

        def close(self):
            ended.set()

    with DurableProver(Ended(), store) as prover:
        handle = prover.submit(*circuit, SLOTS)
        until(lambda: handle.job.state is State.RUNNING)
    # A second thread may have had the job for a moment before it saw the end.
    assert {a.outcome for a in store.attempts(handle.key)} == {Outcome.RELEASED}
    assert handle.job.state is State.QUEUED


def test_an_engine_only_takes_what_its_toolchain_proves(circuit, store):
    work = describe(*circuit, "another toolchain")
    store.submit(work, SLOTS)
    inner = CountingProver()
    with Engine(inner, store) as engine:
        engine.drain()
    assert inner.proven == []
    assert [j.state for j in store.jobs()] == [State.QUEUED]


def test_an_engine_goes_on_after_a_failure(circuit, store):
    for i in range(4):
        store.submit(describe(*circuit, "counting 1"), [[i]])
    seen = []
    faults = [TerminalError("broken"), ProverKilled("killed")]
    with Engine(
        CountingProver(*faults), store, threads=1, on_end=lambda c, r, e: seen.append((r is None, type(e)))
    ) as engine:
        engine.drain()
    assert sorted(j.state for j in store.jobs()) == ["done"] * 3 + ["failed"]
    assert seen.count((False, type(None))) == 3


def test_a_caller_finds_what_an_engine_proved(circuit, store, durable):
    """The engine is faster than the caller's claim: the caller waits for it."""
    store.submit(describe(*circuit, "counting 1"), SLOTS)
    slow = Engine(CountingProver(seconds=0.3), store)
    with slow:
        slow.start()
        until(lambda: store.jobs((State.RUNNING,)))
        prover = durable()
        assert prover.prove(*circuit, SLOTS) == run_of(SLOTS)
        assert prover.inner.proven == []
