"""The record of a run: what happened, how long it took, what it cost, and the page that shows it.

``model`` says what a record holds, ``host`` reads the machine and the versions, ``report`` draws the page.
"""

from fedproof.record.host import collect_host, collect_versions
from fedproof.record.model import (
    AggregateProof,
    CircuitFacts,
    Dataset,
    FinalCheck,
    Host,
    L1Delivery,
    Network,
    RecordError,
    Round,
    RunRecord,
    SetupSeconds,
    Srs,
    StageSeconds,
    StepProof,
    TrainerRound,
    Transaction,
    Versions,
)
from fedproof.record.report import render_report, write_report

__all__ = [
    "AggregateProof",
    "CircuitFacts",
    "Dataset",
    "FinalCheck",
    "Host",
    "L1Delivery",
    "Network",
    "RecordError",
    "Round",
    "RunRecord",
    "SetupSeconds",
    "Srs",
    "StageSeconds",
    "StepProof",
    "TrainerRound",
    "Transaction",
    "Versions",
    "collect_host",
    "collect_versions",
    "render_report",
    "write_report",
]
