"""Which prover a trainer uses: given as one, by name, or the project's own with durable jobs."""

from __future__ import annotations

from fedproof.provers import Prover
from fedproof.provers.registry import open_prover


def prover_of(given: Prover | str | None) -> Prover:
    """Return a prover: the one given, or the one of that name (``cpu``, ``gpu``, ``ray``, ``ray://HOST``)."""
    if given is None or isinstance(given, str):
        return open_prover(given)
    return given
