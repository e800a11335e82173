"""The caller's side of the GPU backend: the CPU backend's workers in another interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedproof.errors import FedproofError
from fedproof.provers.base import ProofRun, ProverKilled
from fedproof.provers.cpu import CpuProver
from fedproof.provers.cpu.faults import damaged
from fedproof.provers.cpu.pool import WorkerPool
from fedproof.provers.cpu.process import WorkerProcess
from fedproof.provers.cpu.single import TIMEOUT_S
from fedproof.provers.gpu import artefacts
from fedproof.provers.gpu.detection import Build

_WORKER = Path(__file__).with_name("worker.py")
#: ezkl-gpu 16 computes its multi-exponentiations on the GPU only when told to.
_ON_GPU = {"ENABLE_ICICLE_GPU": "true"}


class GpuProver(CpuProver):
    """Proves with another build of ezkl, one proof at a time: they share one GPU.

    Its artefacts are its own (:mod:`fedproof.provers.gpu.artefacts`), made at the first proof of a circuit;
    its proofs verify with these alone. ``on_cpu`` leaves the GPU out: what can be tried without one.
    """

    name = "gpu"

    def __init__(
        self, build: Build, *, on_cpu: bool = False, memory: int | str | None = None, parallel: int = 1
    ) -> None:
        super().__init__(workers=parallel, memory=memory)
        self.toolchain = build.toolchain
        self.build = build
        settings = {} if on_cpu else _ON_GPU
        self._pool = WorkerPool(
            start=lambda: WorkerProcess(
                command=[str(build.python), "-I", str(_WORKER), "--serve"], settings=settings
            )
        )

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """See :class:`fedproof.provers.base.Prover`. The first proof of a circuit makes its keys before."""
        own = self.artefacts(folder, srs)
        try:
            return super().prove(own, srs, slots)
        except ProverKilled:
            raise
        except FedproofError as e:
            if fault := damaged(own, srs):
                raise fault from e
            raise

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """Whether it is a proof of this toolchain; see :class:`fedproof.provers.base.Prover`."""
        return super().verify(self.artefacts(folder, srs), srs, proof, instances)

    def artefacts(self, folder: Path, srs: Path) -> Path:
        """Return the folder of this build's artefacts of a circuit, made now if they are not there."""
        folder, srs = folder.resolve(), srs.resolve()

        def make(draft: Path, run_args: dict[str, Any]) -> None:
            request = {
                "task": "setup",
                "folder": str(draft),
                "graph": str(folder / artefacts.GRAPH),
                "srs": str(srs),
                "run_args": run_args,
            }
            self._pool.do(request, TIMEOUT_S)

        return artefacts.ensure(folder, srs, self.toolchain, make)
