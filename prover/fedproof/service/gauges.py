"""What an aggregator counts, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fedproof.service.outcomes import Kind, Outcome

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Gauges:
    """An aggregator's metrics, in ``registry``: one of its own unless given."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._outcomes = Counter(
            "fedproof_round_outcomes", "Rounds by what became of them", ["outcome"], registry=self.registry
        )
        self._gas = Counter(
            "fedproof_finalize_gas", "Gas paid to finalize", ["outcome"], registry=self.registry
        )
        self._stages = Histogram(
            "fedproof_round_stage_seconds",
            "Time of the stages of finalizing: collect, prove, finalize",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._round = Gauge("fedproof_latest_round", "Newest round on the hub", registry=self.registry)
        self._looked = Gauge(
            "fedproof_hub_looked_timestamp_seconds", "When the hub last answered", registry=self.registry
        )
        self._problem = Gauge(
            "fedproof_round_problem",
            "1 while a round cannot be ended for this reason",
            ["reason"],
            registry=self.registry,
        )
        for kind in Kind:
            if kind.settled:
                self._outcomes.labels(str(kind))
        self.problem(None)

    def looked(self, latest: int) -> None:
        """The hub has answered."""
        self._round.set(latest)
        self._looked.set(time.time())

    def stage(self, name: str, seconds: float) -> None:
        """A stage has ended."""
        self._stages.labels(name).observe(seconds)

    def outcome(self, outcome: Outcome) -> None:
        """A round has ended, or a problem is reported."""
        self._outcomes.labels(str(outcome.kind)).inc()
        self._gas.labels(str(outcome.kind)).inc(outcome.gas or 0)

    def problem(self, kind: Kind | None) -> None:
        """Say what keeps the newest round from ending; None: nothing."""
        for each in Kind:
            if not each.settled:
                self._problem.labels(str(each)).set(int(each is kind))
