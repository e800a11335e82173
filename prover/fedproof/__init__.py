"""Verifiable federated learning: exact training-step and aggregation proofs, checked on-chain."""

__version__ = "0.1.0"
