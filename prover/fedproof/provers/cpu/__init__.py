"""The CPU backend: ezkl's wheel in a worker process."""

from fedproof.provers.cpu.backend import CpuProver, run_worker

__all__ = ["CpuProver", "run_worker"]
