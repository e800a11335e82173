"""Which prover a trainer uses: given as one, by name, or the project's own with durable jobs."""

from __future__ import annotations

from contextlib import ExitStack

from fedproof.errors import CallerError
from fedproof.project import Project
from fedproof.provers import Prover
from fedproof.provers.registry import open_prover


def prover_of(given: Prover | str | None, closing: ExitStack) -> Prover:
    """Return a prover: the one given, or the one of that name (``cpu``, ``gpu``, ``ray``, ``ray://HOST``).

    One that is opened by name goes through the queue of the project, if there is a project: what a killed
    trainer had proven is not proven again. What is opened here ends with ``closing``.
    """
    if given is not None and not isinstance(given, str):
        return given
    inner = closing.enter_context(open_prover(given))
    try:
        project = Project.find()
    except CallerError:
        return inner
    from fedproof.jobs import DurableProver, open_jobs  # noqa: PLC0415 - not needed by a prover that is given

    store = open_jobs(project)
    closing.callback(store.close)
    return closing.enter_context(DurableProver(inner, store))
