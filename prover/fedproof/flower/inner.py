"""What the wrapped strategy sees: models as one array of floats, proven weights, metrics it can add.

It never sees a reply as it was sent. Metrics are the clients' word; what cannot be averaged is left away, so
that one client cannot spoil the round of all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg, Strategy

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.rounds import ModelVector

_PARAMETERS, _METRICS = "parameters", "metrics"


@dataclass(frozen=True)
class Inner:
    """The wrapped strategy, and the names it looks for."""

    strategy: Strategy

    @property
    def averages(self) -> bool:
        """Whether it makes the weighted average and nothing else: the one thing that is proven."""
        return type(self.strategy).aggregate_train is FedAvg.aggregate_train

    @property
    def weight_key(self) -> str:
        """The metric that it weighs replies by."""
        return str(getattr(self.strategy, "weighted_by_key", "num-examples"))

    def model(self, model: ModelVector) -> ArrayRecord:
        """A model as this strategy sees it: float64 (D,)."""
        return ArrayRecord({_PARAMETERS: Array(np.ascontiguousarray(model.floats))})

    def shown(self, message: Message, model: ModelVector, samples: int, metrics: MetricRecord) -> Message:
        """Return a checked reply as this strategy sees it: the client's model, what it proved, metrics."""
        key = str(getattr(self.strategy, "arrayrecord_key", "arrays"))
        reply = copy.copy(message)
        reply.content = RecordDict(
            {
                key: self.model(model),
                _METRICS: MetricRecord({**metrics, self.weight_key: samples}),
            }
        )
        return reply

    def result(self, circuit: Circuit, arrays: ArrayRecord) -> ModelVector:
        """Return the model that this strategy made, rounded to integers; its salt is new.

        Raises :class:`CallerError` if it is no such model, or has elements that the circuit cannot hold.
        """
        if list(arrays) != [_PARAMETERS]:
            raise CallerError(f"the strategy made arrays {sorted(arrays)[:5]} in place of {_PARAMETERS!r}")
        return ModelVector.from_floats(circuit, arrays[_PARAMETERS].numpy())


def common_metrics(replies: Sequence[RecordDict]) -> list[MetricRecord]:
    """Return of each reply the metrics that all of them have as finite numbers."""
    found = [_numbers(r) for r in replies]
    names = set.intersection(*(set(f) for f in found)) if found else set()
    return [MetricRecord({name: f[name] for name in sorted(names)}) for f in found]


def _numbers(reply: RecordDict) -> dict[str, float | int]:
    return {
        name: value
        for record in reply.metric_records.values()
        for name, value in record.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
