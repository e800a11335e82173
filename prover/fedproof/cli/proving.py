"""The prover of a command: the one that was named, behind the project's queue of jobs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedproof.circuits.store import Circuit
    from fedproof.jobs import DurableProver
    from fedproof.project import Project


def proving(project: Project, name: str | None = None) -> AbstractContextManager[DurableProver]:
    """Open the prover ``name``; see :func:`fedproof.jobs.durable_prover`."""
    from fedproof.jobs import durable_prover  # noqa: PLC0415 - not for --help

    return durable_prover(project, name)


def expected(prover: DurableProver, circuit: Circuit) -> str:
    """Return how long a proof of ``circuit`` will take, as an aside; nothing where that is not known."""
    from fedproof.jobs.describe import describe  # noqa: PLC0415
    from fedproof.jobs.estimates import Estimates  # noqa: PLC0415

    estimates = Estimates(prover.store)
    works = [describe(p.folder, p.srs.path, prover.toolchain) for p in circuit.parts]
    seconds = [estimates.seconds(work) for work in works if work is not None]
    total = sum(seconds) / max(1, min(prover.parallel, len(seconds)))
    return f" (about {total:.0f} s)" if total >= 1 else ""
