"""What every prover does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from fedproof.errors import CallerError, RetryableError


class ProverKilled(RetryableError):
    """The proving process died: killed, crashed or out of memory. The caller lives on."""


class WitnessRejected(CallerError):
    """No proof exists for these values: the circuit cannot be satisfied by them."""


class BeyondBudget(CallerError):
    """A proof needs more memory than the prover may ever use; it names both figures."""


@dataclass(frozen=True)
class ProofRun:
    """A proof and what it took.

    Times are seconds in the process that proved; ``waited_s`` is what the call waited for cores and memory.
    ``peak_bytes`` is the most memory that process had, ``worker`` says where it was, ``load_s`` what of
    ``prove_s`` was spent on loading the key, 0 where nobody tells.
    """

    proof: bytes
    instances: tuple[int, ...]
    witness_s: float
    prove_s: float
    peak_bytes: int
    waited_s: float = 0.0
    worker: str = ""
    load_s: float = 0.0


class Prover(Protocol):
    """Makes and checks proofs of compiled circuits. Slots are vectors of integers, taken modulo r.

    Calls are synchronous and may come from many threads; each blocks until there is room for it.
    ``parallel`` is how many calls at once are of use: more only wait. ``toolchain`` is what proves, such as
    ``ezkl 23.0.5``; artefacts of one toolchain are never given to another.
    """

    name: str
    toolchain: str
    parallel: int

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """Prove the circuit in ``folder`` for the committed vectors ``slots``.

        Raises :class:`WitnessRejected` if there is no proof of them, :class:`ProverKilled` if the process
        died, :class:`BeyondBudget` if it can never have the memory, :class:`TerminalError` where a file of
        the circuit or the SRS is missing or damaged.
        """

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """Whether ``proof`` is a proof of the circuit in ``folder`` with these public instances."""

    def close(self) -> None:
        """End the workers, the busy ones too. A closed prover that is called again starts new ones."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Closing:
    """A prover as a context manager: closed at the end of the block."""

    def close(self) -> None:
        """Nothing to end unless a backend says so."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
