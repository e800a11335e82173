"""What the tests of jobs share: a prover that only counts, a folder that looks like a circuit, work to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fedproof.circuits.kinds import AverageSpec, Plonk
from fedproof.circuits.manifest import Costs, Manifest, SlotShape
from fedproof.commitments import SCALAR_MODULUS
from fedproof.jobs import JobStore
from fedproof.jobs.states import Work
from fedproof.provers.base import Closing, ProofRun

WORK = Work(
    "tiny", "key-of-tiny", "5" * 64, "counting 1", Path("/nowhere/tiny"), Path("/nowhere/k09.srs"), 2.0
)


def run_of(slots: Sequence[Sequence[int]]) -> ProofRun:
    reduced = [[v % SCALAR_MODULUS for v in s] for s in slots]
    return ProofRun(repr(reduced).encode(), (7, 2**250), 0.125, 0.5, 2**20, 0.25, "here")


class CountingProver(Closing):
    """Counts what it proves; ``faults`` are raised by its next calls, one each, None being a proof."""

    name = "counting"
    toolchain = "counting 1"
    parallel = 2

    def __init__(self, *faults: BaseException | None, seconds: float = 0.0) -> None:
        self.proven: list[list[list[int]]] = []
        self.faults = list(faults)
        self.seconds = seconds
        self.at_once = self.most_at_once = 0
        self.closed = 0
        self._lock = threading.Lock()

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            fault = self.faults.pop(0) if self.faults else None
        try:
            time.sleep(self.seconds)
            if fault is not None:
                raise fault
            with self._lock:
                self.proven.append([list(s) for s in slots])
            return run_of(slots)
        finally:
            with self._lock:
                self.at_once -= 1

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        return proof == proof.strip()

    def close(self) -> None:
        self.closed += 1


def write_circuit(folder: Path) -> tuple[Path, Path]:
    """A folder with a manifest, and a file in place of an SRS."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(
        name="tiny",
        key="ab" * 20,
        spec=AverageSpec(kind="average", of="other", table=8, plonk=Plonk(logrows=9)),
        slots=(SlotShape(name="remainder", length=2, salt=0, columns=1),),
        instances=(2,),
        srs_digest="5" * 64,
        development=True,
        versions={},
        run_args={},
        artefacts={},
        costs=Costs(
            logrows=9, rows=1, cells=1, columns=1, lookups=1, commitments=1, proof_bytes=512,
            proving_key_bytes=1, setup_s=1, prove_s=1.5, prove_peak_bytes=1,
        ),
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    srs = folder / "k09.srs"
    srs.write_bytes(b"not an SRS")
    return folder, srs


def until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for something to be true."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it has not come to that"
        time.sleep(0.005)


def reopened(store: JobStore) -> JobStore:
    """The same queue in another connection, as another process would have it."""
    return JobStore(store.folder, clock=store.clock, alive=store.alive)
