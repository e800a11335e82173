"""What Prometheus is shown, read from the database by any process; and how long proofs will take."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from jobs_world import WORK, CountingProver, reopened, run_of, write_circuit
from prometheus_client.parser import text_string_to_metric_families

from fedproof.errors import RetryableError
from fedproof.jobs import DurableProver, JobStore, State, states
from fedproof.jobs.estimates import Estimates
from fedproof.metrics import BUCKETS, exposition, jobs_registry
from fedproof.provers.base import ProverKilled, WitnessRejected

pytestmark = pytest.mark.reference


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / "jobs")
    yield store
    store.close()


def samples(store: JobStore) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(exposition(store).decode()):
        for s in family.samples:
            found[(s.name, *(s.labels[k] for k in sorted(s.labels)))] = s.value
    return found


def test_an_empty_queue_shows_no_jobs(store: JobStore) -> None:
    found = samples(store)
    assert found["fedproof_jobs_oldest_queued_seconds",] == 0
    assert not [k for k in found if k[0] == "fedproof_jobs"]
    assert found["process_resident_memory_bytes",] > 0


def test_what_was_proven_failed_and_waits(store: JobStore, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(states, "BACKOFF_S", 0.0)
    circuit = write_circuit(tmp_path / "circuit")
    faults = [ProverKilled("k"), None, RetryableError("r"), None, WitnessRejected("w"), KeyboardInterrupt()]
    with DurableProver(CountingProver(*faults), store) as prover:
        prover.prove(*circuit, [[0]])
        prover.prove(*circuit, [[1]])
        with pytest.raises(WitnessRejected):
            prover.prove(*circuit, [[2]])
        with pytest.raises(KeyboardInterrupt):
            prover.prove(*circuit, [[3]])
    now = store.clock() + 100
    store.clock = lambda: now
    with closing(reopened(store)) as another:
        found = samples(another)
    depth = {k[2]: v for k, v in found.items() if k[0] == "fedproof_jobs"}
    assert depth == {"queued": 1, "running": 0, "done": 2, "failed": 1, "cancelled": 0}
    assert 100 <= found["fedproof_jobs_oldest_queued_seconds",] < 130
    labels = ("counting", "tiny")
    assert found["fedproof_prove_seconds_count", *labels] == 2
    assert found["fedproof_prove_seconds_sum", *labels] == 1.0
    assert found["fedproof_witness_seconds_total", *labels] == 0.25
    assert found["fedproof_prove_peak_bytes", *labels] == 2**20
    buckets = {k[3]: v for k, v in found.items() if k[0] == "fedproof_prove_seconds_bucket"}
    assert len(buckets) == len(BUCKETS) + 1
    assert (buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (0, 2, 2)
    failures = {k[2:]: v for k, v in found.items() if k[0] == "fedproof_attempt_failures_total"}
    # An interrupt says nothing about the job.
    assert failures == {
        ("ProverKilled", "tiny", "killed"): 1,
        ("RetryableError", "tiny", "fault"): 1,
        ("WitnessRejected", "tiny", "failed"): 1,
    }


def test_metrics_join_others(store: JobStore) -> None:
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    Gauge("mine", "a metric of somebody else", registry=registry)
    assert jobs_registry(store, registry) is registry
    assert registry.get_sample_value("mine") == 0
    assert registry.get_sample_value("fedproof_jobs_oldest_queued_seconds") == 0


def proven(store: JobStore, value: int, seconds: float) -> None:
    store.submit(WORK, [[value]])
    claim = store.claim("x|1|1|1", "counting", toolchain=WORK.toolchain)
    store.finish(claim, replace(run_of([[value]]), prove_s=seconds, witness_s=0.0))


def test_estimates_are_the_compilers_until_proofs_are_made(tmp_path) -> None:
    now = [1000.0]
    with closing(JobStore(tmp_path, clock=lambda: now[0], alive=lambda *_: True)) as store:
        estimates = Estimates(store)
        assert estimates.seconds(WORK) == WORK.expected_s
        for i, seconds in enumerate((5.0, 7.0, 60.0)):
            now[0] += 1
            proven(store, i, seconds)
        assert estimates.seconds(WORK) == 7.0, "one slow proof does not move it"
        assert estimates.seconds(replace(WORK, circuit_key="another")) == WORK.expected_s
        assert estimates.seconds(replace(WORK, toolchain="another")) == WORK.expected_s
        for i in range(9):
            now[0] += 1
            proven(store, 10 + i, 1.0)
        assert estimates.seconds(WORK) == 1.0, "the newest count"
        queued = [store.submit(WORK, [[100 + i]]) for i in range(4)]
        claim = store.claim("x|1|1|1", "counting", key=queued[0].key)
        assert estimates.left(claim.job, now=now[0] + 0.25) == pytest.approx(0.75)
        assert estimates.left(claim.job, now=now[0] + 50) == 0
        outlook = estimates.outlook(store.jobs((State.QUEUED,)), 2)
        assert outlook.seconds_left == pytest.approx(1.5)
        assert outlook.counts[State.QUEUED] == 3
        assert estimates.outlook(store.jobs((State.QUEUED,)), 100).seconds_left == pytest.approx(1.0)
        assert estimates.left(store.jobs((State.DONE,))[0]) == 0
