"""Where the jobs of a project lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fedproof.jobs.durable import DurableProver
from fedproof.jobs.store import JobStore
from fedproof.project import Project
from fedproof.provers.registry import open_prover


def jobs_folder(project: Project) -> Path:
    """``FEDPROOF_JOBS``, or ``jobs`` beside everything else that is generated."""
    return Path(os.environ.get("FEDPROOF_JOBS") or project.build / "jobs").resolve()


def open_jobs(project: Project) -> JobStore:
    """Open the queue of a project; it is made if there is none. Raises as :class:`JobStore` does."""
    return JobStore(jobs_folder(project))


@contextmanager
def durable_prover(project: Project, name: str | None = None) -> Iterator[DurableProver]:
    """Open the prover ``name`` (``FEDPROOF_PROVER`` or ``cpu`` unless given) behind the queue of a project.

    Both are closed at the end of the block; what was asked for and not finished stays in the queue. Raises
    :class:`CallerError` if there is no such prover here, and as :class:`JobStore` does.
    """
    with closing(open_jobs(project)) as store, DurableProver(open_prover(name), store) as prover:
        yield prover
