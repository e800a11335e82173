"""Which trainer a train function works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from fedproof.errors import CallerError
from fedproof.training import ProvingTrainer

_current: ContextVar[ProvingTrainer] = ContextVar("fedproof_flower_trainer")


def current_trainer() -> ProvingTrainer:
    """Return the trainer of this node, in the round that the train function was called for.

    Steps taken with it, and nothing else, become the update. Raises :class:`CallerError` where no round is
    going on: the app has no :class:`ProofMod`, or the server asks for no proofs.
    """
    try:
        return _current.get()
    except LookupError:
        raise CallerError(
            "no proven round is going on here",
            hint="give the train function mods=[ProofMod(...)], and the server a VerifiableStrategy",
        ) from None


@contextmanager
def within(trainer: ProvingTrainer) -> Iterator[ProvingTrainer]:
    """Make ``trainer`` what :func:`current_trainer` returns."""
    token = _current.set(trainer)
    try:
        yield trainer
    finally:
        _current.reset(token)
