"""What a queue of jobs shows to Prometheus. All of it is read from the database when it is asked for: any
process can serve it, and nothing is lost when one ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from fedproof.jobs.states import State
from fedproof.jobs.store import JobStore

#: Upper ends of the buckets of prove times, in seconds: from the smallest circuit to the largest segment.
BUCKETS = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600)

_DEPTH = "SELECT state, circuit, count(*) AS jobs FROM jobs GROUP BY state, circuit"
_TIMES = f"""
SELECT circuit, backend, count(*) AS proofs, sum(prove_s) AS seconds, sum(witness_s) AS witness_seconds,
    max(peak_bytes) AS peak, {", ".join(f"sum(prove_s <= {b}) AS b{i}" for i, b in enumerate(BUCKETS))}
FROM attempts JOIN jobs ON jobs.key = attempts.job WHERE outcome = 'done' GROUP BY circuit, backend
"""
_FAILURES = """
SELECT circuit, backend, outcome, attempts.cause, count(*) AS attempts
FROM attempts JOIN jobs ON jobs.key = attempts.job WHERE outcome NOT IN ('done', 'released')
GROUP BY circuit, backend, outcome, attempts.cause
"""
_OLDEST = "SELECT min(submitted) AS since FROM jobs WHERE state = 'queued'"


class JobsCollector(Collector):
    """Queue depth by state, prove seconds by circuit and backend, failures by cause, peak memory."""

    def __init__(self, store: JobStore) -> None:
        self.store = store

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the database need not answer when this is registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Read them. Raises as :class:`JobStore` does: a scrape that cannot be answered must not be."""
        rows = self.store.database.rows
        times = rows(_TIMES)
        return [
            _depth(rows(_DEPTH)),
            _wait(rows(_OLDEST)[0]["since"], self.store.clock()),
            _histogram(times),
            _counter(
                "fedproof_witness_seconds",
                "Seconds spent on the witnesses of proofs that were made",
                times,
                "witness_seconds",
            ),
            _gauge("fedproof_prove_peak_bytes", "Most memory that a proof took", times, "peak"),
            _failures(rows(_FAILURES)),
        ]


def jobs_registry(store: JobStore, registry: CollectorRegistry | None = None) -> CollectorRegistry:
    """Return a registry with the metrics of ``store``, and of this process where it is a new one."""
    if registry is None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
    registry.register(JobsCollector(store))
    return registry


def exposition(store: JobStore) -> bytes:
    """Return the metrics of ``store`` as Prometheus reads them."""
    return generate_latest(jobs_registry(store))


def _depth(rows: list[sqlite3.Row]) -> Metric:
    family = GaugeMetricFamily("fedproof_jobs", "Jobs by state", labels=["state", "circuit"])
    found = {(r["state"], r["circuit"]): r["jobs"] for r in rows}
    for circuit in sorted({circuit for _, circuit in found}):
        for state in State:
            family.add_metric([state, circuit], found.get((state, circuit), 0))
    return family


def _wait(since: float | None, now: float) -> Metric:
    family = GaugeMetricFamily("fedproof_jobs_oldest_queued_seconds", "How long the oldest queued job waits")
    family.add_metric([], 0.0 if since is None else max(0.0, now - since))
    return family


def _histogram(rows: list[sqlite3.Row]) -> Metric:
    family = HistogramMetricFamily(
        "fedproof_prove_seconds", "Seconds of ezkl's prove call", labels=["circuit", "backend"]
    )
    for row in rows:
        counts = [row[f"b{i}"] for i in range(len(BUCKETS))]
        buckets = [(f"{b:g}", n) for b, n in zip(BUCKETS, counts, strict=True)]
        family.add_metric(
            [row["circuit"], row["backend"]], [*buckets, ("+Inf", row["proofs"])], sum_value=row["seconds"]
        )
    return family


def _counter(name: str, text: str, rows: list[sqlite3.Row], column: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=["circuit", "backend"])
    for row in rows:
        family.add_metric([row["circuit"], row["backend"]], row[column])
    return family


def _gauge(name: str, text: str, rows: list[sqlite3.Row], column: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["circuit", "backend"])
    for row in rows:
        family.add_metric([row["circuit"], row["backend"]], row[column])
    return family


def _failures(rows: list[sqlite3.Row]) -> Metric:
    family = CounterMetricFamily(
        "fedproof_attempt_failures",
        "Attempts that brought no proof: how they ended, and by what",
        labels=["circuit", "backend", "outcome", "cause"],
    )
    for row in rows:
        labels = [row["circuit"], row["backend"], row["outcome"], row["cause"] or "unknown"]
        family.add_metric(labels, row["attempts"])
    return family
