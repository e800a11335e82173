"""Rounds: exact local training, proofs of its steps, commitments, aggregation, and the round on the hub."""

from fedproof.rounds.aggregator import Aggregator, Average
from fedproof.rounds.dataset import Batch, Dataset
from fedproof.rounds.proof import Proof, check_proof
from fedproof.rounds.trainer import PreparedStep, Trainer
from fedproof.rounds.vectors import ModelVector, check_finite

__all__ = [
    "Aggregator",
    "Average",
    "Batch",
    "Dataset",
    "ModelVector",
    "PreparedStep",
    "Proof",
    "Trainer",
    "check_finite",
    "check_proof",
]
