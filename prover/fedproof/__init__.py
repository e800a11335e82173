"""Verifiable federated learning: exact training-step and aggregation proofs, checked on-chain.

The names below are what trainers and aggregators need. They are imported on first use: ``import fedproof``
itself loads neither torch nor ezkl nor web3.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedproof.circuits.store import Circuit
    from fedproof.errors import CallerError, FedproofError, InvalidProof, RetryableError, TerminalError
    from fedproof.exchange.aggregate import FolderAggregator
    from fedproof.exchange.documents import OfflineModel
    from fedproof.exchange.folder import RoundFolder
    from fedproof.exchange.opening import open_round
    from fedproof.exchange.store import ContentStore
    from fedproof.exchange.verify import verify_round, verify_rounds
    from fedproof.provers.registry import open_prover
    from fedproof.rounds.aggregator import Aggregator, fold_weights
    from fedproof.rounds.answer_checks import check_evaluation, check_inference
    from fedproof.rounds.answers import prove_evaluation, prove_inference
    from fedproof.rounds.dataset import Batch, Dataset
    from fedproof.rounds.linked import check_steps
    from fedproof.rounds.proof import Proof, check_proof
    from fedproof.rounds.published import PublishedModel, verify_model
    from fedproof.rounds.trainer import Trainer
    from fedproof.rounds.vectors import ModelVector
    from fedproof.training.trainer import ProvingTrainer

__version__ = "0.1.0"

__all__ = [
    "Aggregator",
    "Batch",
    "CallerError",
    "Circuit",
    "ContentStore",
    "Dataset",
    "FedproofError",
    "FolderAggregator",
    "InvalidProof",
    "ModelVector",
    "OfflineModel",
    "Proof",
    "ProvingTrainer",
    "PublishedModel",
    "RetryableError",
    "RoundFolder",
    "TerminalError",
    "Trainer",
    "__version__",
    "check_evaluation",
    "check_inference",
    "check_proof",
    "check_steps",
    "fold_weights",
    "open_circuit",
    "open_prover",
    "open_round",
    "prove_evaluation",
    "prove_inference",
    "verify_model",
    "verify_round",
    "verify_rounds",
]

_HOMES = {
    "Aggregator": "rounds.aggregator",
    "Batch": "rounds.dataset",
    "CallerError": "errors",
    "Circuit": "circuits.store",
    "ContentStore": "exchange.store",
    "Dataset": "rounds.dataset",
    "FedproofError": "errors",
    "FolderAggregator": "exchange.aggregate",
    "InvalidProof": "errors",
    "ModelVector": "rounds.vectors",
    "OfflineModel": "exchange.documents",
    "Proof": "rounds.proof",
    "ProvingTrainer": "training.trainer",
    "PublishedModel": "rounds.published",
    "RetryableError": "errors",
    "RoundFolder": "exchange.folder",
    "TerminalError": "errors",
    "Trainer": "rounds.trainer",
    "check_evaluation": "rounds.answer_checks",
    "check_inference": "rounds.answer_checks",
    "check_proof": "rounds.proof",
    "check_steps": "rounds.linked",
    "fold_weights": "rounds.aggregator",
    "open_prover": "provers.registry",
    "open_round": "exchange.opening",
    "prove_evaluation": "rounds.answers",
    "prove_inference": "rounds.answers",
    "verify_model": "rounds.published",
    "verify_round": "exchange.verify",
    "verify_rounds": "exchange.verify",
}


def open_circuit(name: str) -> Circuit:
    """Return the circuit ``circuits/NAME.toml`` of the project around the working folder, ready to prove.

    It comes from the project's store, and is compiled first if it is not there (seconds to minutes). Raises
    :class:`CallerError` if there is no such circuit, or no project.
    """
    from fedproof.circuits.store import CircuitStore  # noqa: PLC0415 - onnx is slow to import
    from fedproof.project import Project  # noqa: PLC0415

    return CircuitStore(Project.find()).get(name)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOMES:
        raise AttributeError(f"module 'fedproof' has no attribute {name!r}")
    value = getattr(import_module(f"fedproof.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
