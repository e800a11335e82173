"""The queue under any sequence of what people, processes and their deaths do to it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from jobs_world import WORK, run_of

from fedproof.errors import CallerError, FedproofError, RetryableError, TerminalError
from fedproof.jobs import JobStore, Outcome, State
from fedproof.jobs.states import LIMITS, Claim
from fedproof.provers.base import ProverKilled, WitnessRejected

pytestmark = pytest.mark.reference

MEMORY = "/dev/shm"  # nothing here has to outlive the machine
OWNERS = ("ann", "bob", "cyd")
CONTENTS = tuple([[i, i + 1], [7]] for i in range(2))
FAULTS = (ProverKilled("killed"), RetryableError("silent"), TerminalError("broken"), WitnessRejected("no"))


class Queue(RuleBasedStateMachine):
    """A model of each job beside the real store: who holds it, how many proofs of it were kept."""

    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(
            tempfile.mkdtemp(prefix="fedproof-jobs-", dir=MEMORY if Path(MEMORY).is_dir() else None)
        )
        self.now = 1000.0
        self.living = set(OWNERS)
        self.store = self.open()
        self.asked: dict[str, int] = {}
        self.held: dict[str, Claim] = {}
        self.kept: dict[str, bytes] = {}
        self.made: dict[str, int] = {}
        self.given_up: set[str] = set()

    def open(self) -> JobStore:
        return JobStore(self.folder, clock=lambda: self.now, alive=lambda o, _l, _n: o in self.living)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(index=st.integers(0, len(CONTENTS) - 1))
    def submit(self, index: int) -> None:
        before = {j.key: j for j in self.store.jobs()}
        job = self.store.submit(WORK, CONTENTS[index])
        assert self.asked.setdefault(job.key, index) == index, "two contents have one key"
        if job.key in self.kept:
            self.reap()  # whoever asks for what is proven looks after the dead, too
            # running still: its owner died before it could say so, and nobody has looked since
            assert job.state is State.DONE or before[job.key].state is State.RUNNING
        elif job.key in before and before[job.key].poisoned:
            assert job.poisoned, "a poisoned job is only tried again when a person says so"
        else:
            assert job.state in (State.QUEUED, State.RUNNING)
            self.given_up.discard(job.key)

    @rule(target=claims, owner=st.sampled_from(OWNERS))
    def claim(self, owner: str) -> Any:
        self.living.add(owner)
        claim = self.store.claim(owner, "counting", toolchain=WORK.toolchain)
        self.reap()
        if claim is not None:
            assert claim.key not in self.held, "two have one job"
            assert claim.key not in self.kept, "it is proven already"
            self.held[claim.key] = claim
        else:
            due = [j for j in self.store.jobs((State.QUEUED,)) if j.not_before <= self.now]
            assert due == [], "what is due is given to whoever asks"
            return multiple()
        return claim

    def reap(self) -> None:
        """Claims of the dead are nobody's once somebody has looked."""
        self.held = {k: c for k, c in self.held.items() if c.owner in self.living}

    @rule(claim=consumes(claims))
    def finish(self, claim: Claim) -> None:
        """Also one that was taken from its owner, which was believed dead and was not."""
        run = self.store.finish(claim, run_of([*CONTENTS[self.asked[claim.key]], [claim.number]]))
        assert run.proof == self.kept.setdefault(claim.key, run.proof), "a proof that was kept has changed"
        if self.held.get(claim.key) == claim:
            self.made[claim.key] = self.made.get(claim.key, 0) + 1
            assert self.made[claim.key] == 1, "proven twice by those who held it"
            del self.held[claim.key]
            assert self.store.get(claim.key).state is State.DONE

    @rule(claim=consumes(claims), fault=st.sampled_from(FAULTS))
    def fail(self, claim: Claim, fault: FedproofError) -> None:
        before = self.store.get(claim.key)
        job = self.store.fail(claim, fault)
        if self.held.get(claim.key) != claim:
            assert job == before, "a claim that is no more changes nothing"
            return
        del self.held[claim.key]
        if before.cancelling:
            assert job.state is State.CANCELLED
            self.given_up.add(job.key)
        elif isinstance(fault, RetryableError):
            assert job.state is State.QUEUED or job.poisoned
        else:
            assert job.state is State.FAILED
            assert type(job.failure) is type(fault)
        if job.state is State.QUEUED:
            assert job.not_before > self.now

    @rule(claim=consumes(claims))
    def release(self, claim: Claim) -> None:
        self.store.release(claim)
        if self.held.get(claim.key) == claim:
            del self.held[claim.key]

    @rule(claim=claims)
    def die(self, claim: Claim) -> None:
        """Or be believed dead: what its owner had may still be finished, late."""
        self.living.discard(claim.owner)

    @rule(target=claims, claim=claims, owner=st.sampled_from(OWNERS))
    def lose(self, claim: Claim, owner: str) -> Any:
        """Its owner is believed dead, and another takes the job."""
        self.living.discard(claim.owner)
        return self.claim(owner)

    @rule(claim=consumes(claims))
    def die_between_proof_and_row(self, claim: Claim) -> None:
        """With the job, or long after it was taken."""
        run = self.store.results.keep(claim.key, run_of([[claim.number]]))
        assert run.proof == self.kept.setdefault(claim.key, run.proof), "a proof that was kept has changed"
        self.living.discard(claim.owner)

    @rule()
    def take_back(self) -> None:
        for job in self.store.take_back():
            assert job.state is not State.RUNNING
            if job.state is State.CANCELLED:
                self.given_up.add(job.key)
        self.reap()

    @rule(index=st.integers(0, len(CONTENTS) - 1))
    def cancel(self, index: int) -> None:
        key = next((k for k, i in self.asked.items() if i == index), None)
        if key is None:
            return
        before = self.store.get(key)
        try:
            job = self.store.cancel(key)
        except CallerError:
            assert before.state in (State.DONE, State.CANCELLED)
            return
        if before.state is State.RUNNING:
            assert job.cancelling
        else:
            assert job.state is State.CANCELLED
            self.given_up.add(key)

    @rule(index=st.integers(0, len(CONTENTS) - 1))
    def retry(self, index: int) -> None:
        key = next((k for k, i in self.asked.items() if i == index), None)
        if key is None:
            return
        before = self.store.get(key)
        try:
            job = self.store.retry(key)
        except CallerError:
            gone = not self.store.values.path(key).is_file()
            assert before.state is not State.FAILED or gone
            return
        assert job.state is (State.RUNNING if before.state is State.RUNNING else State.QUEUED)

    @rule(seconds=st.floats(0.1, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = self.open()

    @invariant()
    def nothing_is_lost(self) -> None:
        jobs = {j.key: j for j in self.store.jobs()}
        assert jobs.keys() == self.asked.keys()
        for key, job in jobs.items():
            if job.state in (State.QUEUED, State.RUNNING):
                assert key in self.kept or self.store.values.path(key).is_file(), "it can never be proven"
            if job.state is State.DONE:
                assert key in self.kept
                assert not self.store.values.path(key).is_file(), "private values lie around"
            if job.state is State.CANCELLED:
                assert not self.store.values.path(key).is_file(), "private values lie around"

    @invariant()
    def owners_are_those_who_claimed(self) -> None:
        running = {j.key: j.owner for j in self.store.jobs((State.RUNNING,))}
        assert running == {k: c.owner for k, c in self.held.items() if k in running}
        assert all(k in running for k, c in self.held.items() if c.owner in self.living)

    @invariant()
    def attempts_are_all_there(self) -> None:
        for key in self.asked:
            attempts = self.store.attempts(key)
            job = self.store.get(key)
            assert [a.number for a in attempts] == list(range(1, job.attempts + 1))
            unended = [a.number for a in attempts if a.outcome is None]
            assert unended == ([job.attempts] if job.state is State.RUNNING else [])
            if job.poisoned:
                last = attempts[-1].outcome
                assert last in LIMITS
                assert sum(a.outcome is last for a in attempts) >= LIMITS[last]
            assert all((a.prove_s is not None) == (a.outcome is Outcome.DONE) for a in attempts)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
