"""Circuits: declarations, compilation, and the content-addressed store of what was compiled."""

from fedproof.circuits.manifest import Costs, Manifest, SlotShape
from fedproof.circuits.spec import AverageSpec, TrainingSpec, available, load_spec

__all__ = [
    "AverageSpec",
    "Costs",
    "Manifest",
    "SlotShape",
    "TrainingSpec",
    "available",
    "load_spec",
]
