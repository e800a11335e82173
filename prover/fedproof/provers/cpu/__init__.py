"""The CPU backend: ezkl's wheel in worker processes."""

from importlib.metadata import version

from fedproof.provers.cpu.backend import CpuProver, cores
from fedproof.provers.cpu.single import run_worker
from fedproof.provers.memory import budget_bytes
from fedproof.provers.memory.ledger import gibibytes
from fedproof.provers.registry import Offer

__all__ = ["CpuProver", "offer", "open_backend", "run_worker"]


def offer() -> Offer:
    """Always there: ezkl is a dependency."""
    room = f"{cores()} cores, {gibibytes(budget_bytes())} for all proofs together"
    return Offer("cpu", available=True, reason=room, toolchain=f"ezkl {version('ezkl')}")


def open_backend(where: str) -> CpuProver:
    """Open it; there is no other place than here."""
    del where
    return CpuProver(workers=cores())
