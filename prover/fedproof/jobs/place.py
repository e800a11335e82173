"""Where the jobs of a project lie."""

from __future__ import annotations

import os
from pathlib import Path

from fedproof.jobs.store import JobStore
from fedproof.project import Project


def jobs_folder(project: Project) -> Path:
    """``FEDPROOF_JOBS``, or ``jobs`` beside everything else that is generated."""
    return Path(os.environ.get("FEDPROOF_JOBS") or project.build / "jobs").resolve()


def open_jobs(project: Project) -> JobStore:
    """Open the queue of a project; it is made if there is none. Raises as :class:`JobStore` does."""
    return JobStore(jobs_folder(project))
