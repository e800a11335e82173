"""What every prover does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fedproof.errors import CallerError, RetryableError


class ProverKilled(RetryableError):
    """The proving process died: killed, crashed or out of memory. The caller lives on."""


class WitnessRejected(CallerError):
    """No proof exists for these values: the circuit cannot be satisfied by them."""


@dataclass(frozen=True)
class ProofRun:
    """A proof and what it took."""

    proof: bytes
    instances: tuple[int, ...]
    witness_s: float
    prove_s: float
    peak_bytes: int


class Prover(Protocol):
    """Makes and checks proofs of compiled circuits. Slots are vectors of integers, taken modulo r."""

    name: str

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """Prove the circuit in ``folder`` for the committed vectors ``slots``.

        Raises :class:`WitnessRejected` if there is no proof of them, :class:`ProverKilled` if the process
        died.
        """

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """Whether ``proof`` is a proof of the circuit in ``folder`` with these public instances."""
