"""The GPU backend: an ezkl build with CUDA in an interpreter of its own."""

from __future__ import annotations

from fedproof.errors import CallerError
from fedproof.provers.gpu.backend import GpuProver
from fedproof.provers.gpu.detection import SETTING, BuildNotFoundError, build_of, no_gpu
from fedproof.provers.registry import Offer, deployable

__all__ = ["GpuProver", "offer", "open_backend"]


def offer() -> Offer:
    """Look for a driver, a GPU, the interpreter and the build in it."""
    reasons, toolchain = [], ""
    if missing := no_gpu():
        reasons.append(missing)
    try:
        build = build_of()
    except BuildNotFoundError as e:
        reasons.append(e.message)
    else:
        toolchain = build.toolchain
    available = not reasons
    if toolchain and not deployable(toolchain):
        reasons.append(f"{toolchain} is for benchmarks only: no deployed verifier takes its proofs")
    return Offer("gpu", available=available, reason="; ".join(reasons), toolchain=toolchain)


def open_backend(where: str) -> GpuProver:
    """Open it; raises :class:`CallerError` with what is missing."""
    del where
    found = offer()
    if not found.available:
        raise CallerError(f"the prover 'gpu' is not offered here: {found.reason}", hint=f"see {SETTING}")
    return GpuProver(build_of())
