"""An owner that was believed dead and was not: what it brings, late, harms nobody."""

from __future__ import annotations

import pytest
from jobs_world import WORK, run_of

from fedproof.errors import TerminalError
from fedproof.jobs import JobStore, Outcome, State
from fedproof.jobs.states import Claim

pytestmark = pytest.mark.reference

SLOTS = [[1, 2]]


@pytest.fixture
def living() -> set[str]:
    return {"ann", "bob"}


@pytest.fixture
def store(tmp_path, living):
    store = JobStore(tmp_path / "jobs", alive=lambda owner, *_: owner in living)
    yield store
    store.close()


def claimed(store: JobStore, owner: str) -> Claim:
    claim = store.claim(owner, "counting", toolchain=WORK.toolchain)
    assert claim is not None
    return claim


@pytest.fixture
def claims(store, living) -> tuple[Claim, Claim]:
    """Ann had the job, and is believed dead; Bob has it."""
    store.submit(WORK, SLOTS)
    ann = claimed(store, "ann")
    living.discard("ann")
    return ann, claimed(store, "bob")


def test_a_late_proof_is_the_one_that_is_kept(store, claims) -> None:
    ann, bob = claims
    assert store.finish(ann, run_of([[1]])) == run_of([[1]])
    job = store.get(bob.key)
    assert (job.state, job.owner) == (State.RUNNING, "bob"), "nobody takes it from him"
    assert store.values.path(job.key).is_file()
    assert store.finish(bob, run_of([[2]])) == run_of([[1]]), "a kept proof does not change"
    assert store.results.load(job.key) == run_of([[1]])
    assert store.get(bob.key).state is State.DONE
    assert list(store.values.folder.iterdir()) == []


def test_a_late_failure_changes_nothing(store, claims) -> None:
    ann, bob = claims
    before = store.get(bob.key)
    assert store.fail(ann, TerminalError("late")) == before
    store.release(ann)
    assert store.get(bob.key) == before
    assert [a.outcome for a in store.attempts(bob.key)] == [Outcome.ORPHANED, None]


def test_a_late_proof_ends_a_job_that_waits(store, living) -> None:
    store.submit(WORK, SLOTS)
    ann = claimed(store, "ann")
    living.discard("ann")
    assert [j.state for j in store.take_back()] == [State.QUEUED]
    store.finish(ann, run_of(SLOTS))
    assert store.get(ann.key).state is State.DONE
    assert [a.outcome for a in store.attempts(ann.key)] == [Outcome.DONE]


def test_a_proof_without_a_row_is_found_by_who_claims(store, living) -> None:
    store.submit(WORK, SLOTS)
    ann = claimed(store, "ann")
    living.discard("ann")
    store.take_back()
    store.results.keep(ann.key, run_of(SLOTS))
    assert store.claim("bob", "counting", toolchain=WORK.toolchain) is None
    assert store.get(ann.key).state is State.DONE
