"""One trainer's part of one round: steps, checkpoints, proofs in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType

from fedproof.chain.digests import commit_digest, step_context
from fedproof.circuits.store import Circuit
from fedproof.commitments import Commitment
from fedproof.errors import CallerError
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.rounds.dataset import Batch, Dataset
from fedproof.rounds.kept import prove_kept
from fedproof.rounds.proof import Proof
from fedproof.rounds.trainer import PreparedStep, Trainer, update_commitment
from fedproof.rounds.vectors import ModelVector
from fedproof.training.checkpoint import Checkpoint
from fedproof.training.data import content
from fedproof.training.losses import LossOf


@dataclass(frozen=True)
class NumberedBatch:
    """A batch of a trainer's dataset, and its number there."""

    index: int
    batch: Batch


@dataclass(frozen=True)
class TakenStep:
    """A step that was taken. ``loss`` is computed in floats when it is asked for."""

    index: int
    batch: int
    prepared: PreparedStep
    _loss: Callable[[], float] = field(repr=False, compare=False)

    @cached_property
    def loss(self) -> float:
        """The loss of the model before the step, on its batch; of no proof."""
        return self._loss()

    def __float__(self) -> float:
        return self.loss


class TrainingRound:
    """The steps of one round, from the global model on. A context: at its end nothing runs any more.

    ``folder`` is private. Made again over the same folder, it goes on where the last one stopped.
    """

    def __init__(
        self,
        circuit: Circuit,
        dataset: Dataset,
        address: str,
        base: ModelVector,
        *,
        model_id: bytes,
        number: int,
        max_steps: int,
        folder: Path,
        prover: Prover,
        loss: LossOf,
        checkpoint_every: int = 1,
    ) -> None:
        self.circuit, self.dataset, self.address = circuit, dataset, address
        self.base, self.model_id, self.number = base, model_id, number
        self.max_steps = max_steps
        self.folder = folder
        self._prover, self._loss, self._every = prover, loss, checkpoint_every
        self._checkpoint = Checkpoint.open(folder, circuit, model_id, number, base)
        self.nonce = self._checkpoint.nonce
        self._trainer = Trainer(circuit, base, prover)
        self.batches: list[int] = []
        for index, step in self._checkpoint.steps(circuit):
            self._trainer.take(step)
            self.batches.append(index)
        self._kept = len(self.batches)
        self._pool: ThreadPoolExecutor | None = None
        self._proving: dict[int, Future[Proof]] = {}
        self._places: dict[bytes, list[int]] = {}
        for index, batch in enumerate(dataset.batches):
            self._places.setdefault(content(batch), []).append(index)

    # -- training -------------------------------------------------------------------------------

    @property
    def steps(self) -> list[PreparedStep]:
        """The steps taken, in order."""
        return self._trainer.steps

    @property
    def model(self) -> ModelVector:
        """The model after the steps so far."""
        return self._trainer.model

    @property
    def update(self) -> IntArray:
        """The update so far (D + S,)."""
        return self._trainer.update

    @property
    def context(self) -> bytes:
        """What the proofs are made for."""
        return step_context(self.model_id, self.number, self.address)

    def __iter__(self) -> Iterator[NumberedBatch]:
        """The batches that are left to train on: those after the last round's, in turn, as many as may be."""
        total = len(self.dataset)
        count = min(self.max_steps, total)
        first = (self.number - 1) * count
        for place in range(count):
            index = (first + place) % total
            if len(self.batches) >= self.max_steps:
                return
            if index not in self.batches:
                yield NumberedBatch(index, self.dataset.batches[index])

    def step(self, batch: NumberedBatch | int | Batch) -> TakenStep:
        """Take one exact step on a batch of the dataset: by its number, or by what it holds.

        Raises :class:`CallerError` for a batch that is not in the dataset or was used in this round, and for
        a step more than the round takes.
        """
        if len(self.batches) >= self.max_steps:
            raise CallerError(f"round {self.number} takes {self.max_steps} steps of a trainer, all are taken")
        index = self._place(batch)
        if index in self.batches:
            raise CallerError(
                f"batch {index} was used in round {self.number} already",
                hint="a batch counts once in a round; in a later one it may be used again",
            )
        before, own = self.model, self.dataset.batches[index]
        prepared = self._trainer.step(own)
        self.batches.append(index)
        if self._every and len(self.batches) % self._every == 0:
            self.checkpoint()
        return TakenStep(len(self.batches) - 1, index, prepared, lambda: self._loss(before, own))

    def _place(self, batch: NumberedBatch | int | Batch) -> int:
        if isinstance(batch, Batch):
            places = self._places.get(content(batch), [])
            free = [i for i in places if i not in self.batches]
            if not places:
                raise CallerError(
                    "this batch is not in the trainer's dataset",
                    hint="batches are fixed before a round: their order may change, what is in one may not",
                )
            return (free or places)[0]
        index = batch if isinstance(batch, int) else batch.index
        if not 0 <= index < len(self.dataset):
            raise CallerError(f"there is no batch {index}; the dataset has {len(self.dataset)}")
        return index

    def checkpoint(self) -> Path:
        """Write the steps that are not written yet; return the folder."""
        for i in range(self._kept, len(self.batches)):
            self._checkpoint.keep(i, self.batches[i], self.steps[i])
        self._kept = len(self.batches)
        return self.folder

    # -- proving --------------------------------------------------------------------------------

    def prove(self) -> list[Future[Proof]]:
        """Begin to prove every step that is not proven, in the background; return a future for each step.

        Called again, it begins what was added, or what failed.
        """
        self.checkpoint()  # a proof is of no use without its step
        if self._pool is None:
            self._pool = ThreadPoolExecutor(
                max(1, self._prover.parallel), thread_name_prefix=f"prove-round{self.number}"
            )
        for i, step in enumerate(self.steps):
            known = self._proving.get(i)
            if known is None or known.cancelled() or (known.done() and known.exception() is not None):
                self._proving[i] = self._pool.submit(
                    prove_kept, step, self.folder, f"step{i}", self._prover, self.context
                )
        return [self._proving[i] for i in range(len(self.steps))]

    def proofs(self) -> list[Proof]:
        """Wait for the proofs of all steps and return them; raises what proving one raised."""
        self.demand_steps()
        return [future.result() for future in self.prove()]

    def demand_steps(self) -> None:
        """Raise :class:`CallerError` if no step was taken."""
        if not self.steps:
            raise CallerError(f"no step was taken in round {self.number}")

    @property
    def proven(self) -> int:
        """How many steps are proven by now."""
        return sum(f.done() and not f.cancelled() and f.exception() is None for f in self._proving.values())

    # -- what is committed to -------------------------------------------------------------------

    @property
    def digest(self) -> bytes:
        """What the trainer commits to before it reveals."""
        points = [p for step in self.steps for slot in ("batch", "step") for p in step.commitment(slot)]
        return commit_digest(self.model_id, self.number, self.address, self.nonce, points)

    @property
    def update_commitment(self) -> Commitment:
        """Pure commitment of the update."""
        return update_commitment(self.steps)

    # -- the end --------------------------------------------------------------------------------

    def __enter__(self) -> TrainingRound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.checkpoint()
        if self._pool is not None:
            # What has not begun is not begun; what runs is waited for and kept.
            self._pool.shutdown(wait=True, cancel_futures=kind is not None)
            self._pool = None
