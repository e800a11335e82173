"""Circuits: declarations, compilation, and the content-addressed store of what was compiled."""

from fedproof.circuits.manifest import Costs, Manifest, SlotShape
from fedproof.circuits.spec import (
    AverageSpec,
    EvaluationSpec,
    InferenceSpec,
    TrainingSpec,
    available,
    load_spec,
)

__all__ = [
    "AverageSpec",
    "Costs",
    "EvaluationSpec",
    "InferenceSpec",
    "Manifest",
    "SlotShape",
    "TrainingSpec",
    "available",
    "load_spec",
]
