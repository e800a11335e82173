"""Provers: one interface, one folder a backend."""

from fedproof.provers.base import BeyondBudget, ProofRun, Prover, ProverKilled, WitnessRejected
from fedproof.provers.cpu import CpuProver
from fedproof.provers.registry import Offer, offers, open_prover

__all__ = [
    "BeyondBudget",
    "CpuProver",
    "Offer",
    "ProofRun",
    "Prover",
    "ProverKilled",
    "WitnessRejected",
    "offers",
    "open_prover",
]
