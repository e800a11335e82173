"""The CPU backend: ezkl's wheel in persistent worker processes, admitted by cores and memory."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from fedproof.errors import CallerError
from fedproof.provers.base import Closing, ProofRun
from fedproof.provers.cpu.faults import manifest_of
from fedproof.provers.cpu.pool import WorkerPool, shared_pool
from fedproof.provers.cpu.single import TIMEOUT_S
from fedproof.provers.cpu.vectors import demand_shape, write_input
from fedproof.provers.memory import Ledger, budget_bytes, needed_bytes, verifying_bytes

#: Proofs a core on the whole machine. More than one: a short proof need not wait for two that take an hour,
#: and sharing cores costs next to nothing (docs/provers.md).
COMPANY = 2


class CpuProver(Closing):
    """Proves with ezkl on this machine's cores.

    ``workers`` is how many proofs run at once, as many as there are cores unless given, and ``threads`` how
    many cores each may use, all unless given: a proof alone is then as fast as it can be, and several leave
    no core idle. ``memory`` is what all proofs on the machine may have together, in bytes or as ``8GiB``;
    without it ``FEDPROOF_MEMORY``, or four fifths of the machine's. Provers made without ``workers`` share
    their processes.
    """

    name = "cpu"

    def __init__(
        self, workers: int | None = None, threads: int | None = None, memory: int | str | None = None
    ) -> None:
        if workers is not None and workers < 1:
            raise CallerError(f"{workers} workers prove nothing")
        self.toolchain = f"ezkl {version('ezkl')}"
        self.parallel = workers or cores()
        self.memory = budget_bytes(memory)
        self._own = workers is not None
        self._pool = shared_pool(threads) if workers is None else WorkerPool(threads)
        self._ledger: Ledger | None = None
        # Proofs wait for each other; verifications, short ones, only for their like.
        self._proving = threading.BoundedSemaphore(self.parallel)
        self._verifying = threading.BoundedSemaphore(self.parallel)

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """See :class:`fedproof.provers.base.Prover`."""
        folder, srs = folder.resolve(), srs.resolve()
        manifest = manifest_of(folder)
        if manifest is not None:
            demand_shape(slots, manifest)
        need = needed_bytes(folder, manifest)
        started = time.monotonic()
        with self._proving, self._budget().reserve(need), _scratch() as scratch:
            waited_s = time.monotonic() - started
            write_input(Path(scratch) / "input.json", slots)
            request = {"task": "prove", "folder": str(folder), "srs": str(srs), "scratch": scratch}
            answer, pid = self._pool.do(request, TIMEOUT_S)
        return ProofRun(
            bytes.fromhex(answer["proof"]),
            tuple(int(i) for i in answer["instances"]),
            answer["witness_s"],
            answer["prove_s"],
            answer["peak_bytes"],
            waited_s,
            f"{os.uname().nodename}:{pid}",
            answer["load_s"],
        )

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """See :class:`fedproof.provers.base.Prover`."""
        folder, srs = folder.resolve(), srs.resolve()
        need = verifying_bytes(srs)
        with self._verifying, self._budget().reserve(need, urgent=True), _scratch() as scratch:
            request = {
                "task": "verify",
                "folder": str(folder),
                "srs": str(srs),
                "scratch": scratch,
                "proof": proof.hex(),
                "instances": [str(i) for i in instances],
                "version": self.toolchain.split()[1],
            }
            answer, _ = self._pool.do(request, TIMEOUT_S)
        return bool(answer["valid"])

    def close(self) -> None:
        """End the workers; who waits for one gets :class:`ProverKilled`. Shared ones end when done."""
        self._pool.close(busy=self._own)

    def _budget(self) -> Ledger:
        # Not made before there is something to enter: making a prover touches no file.
        if self._ledger is None:
            self._ledger = Ledger(self.memory, max(self.parallel, COMPANY * cores()))
        return self._ledger


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fedproof-")
