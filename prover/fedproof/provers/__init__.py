"""Provers: one interface, one folder a backend."""

from fedproof.provers.base import ProofRun, Prover, ProverKilled, WitnessRejected
from fedproof.provers.cpu import CpuProver

__all__ = ["CpuProver", "ProofRun", "Prover", "ProverKilled", "WitnessRejected"]
