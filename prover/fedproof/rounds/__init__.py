"""Rounds: exact local training, proofs of its steps, commitments, aggregation, and the round on the hub."""

from fedproof.rounds.aggregator import Aggregator, Average
from fedproof.rounds.answer_checks import check_evaluation, check_inference, read_count
from fedproof.rounds.answers import Answer, prove_evaluation, prove_inference
from fedproof.rounds.dataset import Batch, Dataset
from fedproof.rounds.linked import check_steps
from fedproof.rounds.proof import Proof, check_proof
from fedproof.rounds.samples import Samples
from fedproof.rounds.trainer import PreparedStep, Trainer
from fedproof.rounds.vectors import ModelVector, check_finite

__all__ = [
    "Aggregator",
    "Answer",
    "Average",
    "Batch",
    "Dataset",
    "ModelVector",
    "PreparedStep",
    "Proof",
    "Samples",
    "Trainer",
    "check_evaluation",
    "check_finite",
    "check_inference",
    "check_proof",
    "check_steps",
    "prove_evaluation",
    "prove_inference",
    "read_count",
]
