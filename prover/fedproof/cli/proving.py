"""The prover of a command: the one that was named, behind the project's queue of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedproof.jobs import DurableProver
    from fedproof.project import Project


@contextmanager
def proving(project: Project, name: str | None = None) -> Iterator[DurableProver]:
    """Open the prover ``name`` (``FEDPROOF_PROVER`` or ``cpu`` unless given), closed at the end of the block.

    What was asked of it and not finished stays in the queue of the project. Raises :class:`CallerError` if
    there is no such prover here.
    """
    from fedproof.jobs import DurableProver, open_jobs  # noqa: PLC0415 - not for --help
    from fedproof.provers.registry import open_prover  # noqa: PLC0415

    with closing(open_jobs(project)) as store, DurableProver(open_prover(name), store) as prover:
        yield prover
