"""Proofs in Flower: a mod that proves a client's steps, a strategy that averages nothing it has not checked.

Needs the extra ``flower``; nothing else of the package imports it. docs/flower.md says how an app is written,
and what is bound to what.
"""

from __future__ import annotations

from importlib.util import find_spec

from fedproof.errors import CallerError

if find_spec("flwr") is None:
    raise CallerError("fedproof.flower needs Flower", hint="pip install 'fedproof[flower]'")

from fedproof.flower.current import current_trainer
from fedproof.flower.hub import HubStrategy
from fedproof.flower.mod import ProofMod
from fedproof.flower.on_chain import HubAccess
from fedproof.flower.strategy import VerifiableStrategy
from fedproof.flower.wire import arrays_of, model_of

__all__ = [
    "HubAccess",
    "HubStrategy",
    "ProofMod",
    "VerifiableStrategy",
    "arrays_of",
    "current_trainer",
    "model_of",
]
