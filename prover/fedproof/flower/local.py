"""The client's side of a round: who trains, on what, and the steps it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from eth_account.signers.local import LocalAccount

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.provers import CpuProver, Prover
from fedproof.rounds import Batch, Dataset, ModelVector, PreparedStep, Trainer
from fedproof.rounds.registration import refuse_state
from fedproof.rounds.vectors import training_spec


@dataclass(frozen=True)
class LocalTrainer:
    """A trainer on a Flower node: its circuit, its batches with their salts, its key.

    The batches must be the same in every round, salts included (``Dataset.save``, ``Dataset.load``): the
    server takes steps on batches under the root it was told first.
    """

    circuit: Circuit
    dataset: Dataset
    account: LocalAccount
    prover: Prover = field(default_factory=CpuProver)

    def __post_init__(self) -> None:
        training_spec(self.circuit)
        refuse_state(self.circuit)

    @property
    def address(self) -> str:
        """The trainer's identity, a checksummed address."""
        return str(self.account.address)


class LocalRound:
    """The round that a train function is in. Steps taken here, and nothing else, become the update."""

    def __init__(self, local: LocalTrainer, number: int, model: ModelVector) -> None:
        self.local = local
        self.number = number
        self.trainer = Trainer(local.circuit, model, local.prover)
        self.used: list[int] = []

    @property
    def model(self) -> ModelVector:
        """The model after the steps so far; ``model.floats`` are its parameters (D,)."""
        return self.trainer.model

    def batches(self, count: int) -> Iterator[int]:
        """Indices of the ``count`` batches that are next in this round, in turn over the dataset.

        Raises :class:`CallerError` if there are not so many: no batch counts twice in a round.
        """
        total = len(self.local.dataset)
        if not 0 < count <= total:
            raise CallerError(f"{count} steps a round, but the dataset has {total} batches")
        first = (self.number - 1) * count
        yield from ((first + j) % total for j in range(count))

    def step(self, index: int) -> PreparedStep:
        """Take one exact SGD step on a batch of the dataset; it is proven when the train function returns."""
        if index in self.used:
            raise CallerError(f"batch {index} was used in this round already, and counts once")
        taken = self.trainer.step(self.batch(index))
        self.used.append(index)
        return taken

    def batch(self, index: int) -> Batch:
        """A batch of the dataset, in integers."""
        return self.local.dataset.batches[index]


_current: ContextVar[LocalRound] = ContextVar("fedproof_flower_round")


def local_round() -> LocalRound:
    """Return the round that the train function was called for.

    Raises :class:`CallerError` outside of one: the app has no :class:`ProofMod`, or the server asks for no
    proofs.
    """
    try:
        return _current.get()
    except LookupError:
        raise CallerError(
            "no proven round is going on here",
            hint="give the train function mods=[ProofMod(...)], and the server a VerifiableStrategy",
        ) from None


@contextmanager
def within(played: LocalRound) -> Iterator[LocalRound]:
    """Make ``played`` what :func:`local_round` returns."""
    token = _current.set(played)
    try:
        yield played
    finally:
        _current.reset(token)
