"""Proofs to be verified at the end, side by side: all that is cheap is checked before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedproof.errors import TerminalError
from fedproof.exchange.faults import RoundFault
from fedproof.provers import ProofRun, Prover
from fedproof.provers.base import Closing


@dataclass(frozen=True)
class _Call:
    file: Path
    folder: Path
    srs: Path
    proof: bytes
    instances: tuple[int, ...]


class DeferredVerifier(Closing):
    """Stands in for a prover: notes every proof, calls it valid, and verifies all of them in :meth:`finish`.

    Nothing may be concluded before :meth:`finish` has returned.
    """

    name = "deferred"
    toolchain = ""
    parallel = 1

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._file = Path()

    @contextmanager
    def of(self, file: Path) -> Iterator[DeferredVerifier]:
        """Proofs noted in the body are those of ``file``."""
        self._file = file
        yield self

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """Not for proving: raises :class:`TerminalError`."""
        del folder, srs, slots
        raise TerminalError("a deferred verifier proves nothing")

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """Note a proof."""
        self._calls.append(_Call(self._file, folder, srs, proof, tuple(instances)))
        return True

    def finish(self, prover: Prover) -> int:
        """Verify what was noted; return how many. Raises :class:`RoundFault` for the first that fails."""

        def verify(call: _Call) -> bool:
            return prover.verify(call.folder, call.srs, call.proof, call.instances)

        with ThreadPoolExecutor(max(1, prover.parallel)) as pool:
            for call, valid in zip(self._calls, pool.map(verify, self._calls), strict=True):
                if not valid:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise RoundFault("proof", call.file, "the proof does not verify")
        return len(self._calls)
