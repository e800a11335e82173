"""A trainer that proves what it trains: the object a training loop is written with."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from eth_account.signers.local import LocalAccount

from fedproof.chain.client import Receipt
from fedproof.chain.hub import HubClient
from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.exchange.documents import OfflineModel, Registration
from fedproof.exchange.fields import to_bytes
from fedproof.exchange.folder import RoundFolder
from fedproof.exchange.opening import register
from fedproof.exchange.signing import account_of
from fedproof.exchange.store import ContentStore
from fedproof.exchange.verify_plan import check_plan
from fedproof.lowering.ir import IntArray
from fedproof.provers import Prover
from fedproof.rounds.dataset import Batch
from fedproof.rounds.proof import Proof
from fedproof.rounds.session import TrainerSession
from fedproof.rounds.vectors import Floats, ModelVector, training_spec
from fedproof.training.data import Data, dataset_of
from fedproof.training.delivery import commit_to_folder, submit_to_folder, submit_to_hub
from fedproof.training.losses import LossOf, declared_loss
from fedproof.training.provers import prover_of
from fedproof.training.round import NumberedBatch, TakenStep, TrainingRound

if TYPE_CHECKING:
    from torch import nn

#: What a round is when nobody says how many steps it takes.
DEFAULT_STEPS = 2

__all__ = ["ProvingTrainer", "TakenStep"]


class ProvingTrainer:
    """Trains in a circuit's integers, proves in the background, hands in.

    ``circuit`` is one of the project by name, or a compiled one. ``key`` is the trainer's signing key.
    ``data`` is ``(x, y)``, an iterable of batches, or a dataset; it is fixed from then on and kept in
    ``folder``, which is private. ``prover`` is one, or the name of one. Every ``checkpoint_every`` steps
    what was done is kept (0: only :meth:`checkpoint` does); a trainer made again over the folder goes on
    from there, and proves nothing twice.

        trainer = ProvingTrainer("digits-mlp", key=key, data=(x, y), folder="trainer-1")
        with trainer.round("rounds/1"):
            for batch in trainer:
                print(trainer.step(batch).loss)
                trainer.prove()
            trainer.submit()
    """

    def __init__(
        self,
        circuit: Circuit | str,
        *,
        key: LocalAccount | str | bytes,
        folder: Path | str,
        data: Data | None = None,
        prover: Prover | str | None = None,
        loss: LossOf | None = None,
        checkpoint_every: int = 1,
    ) -> None:
        self.circuit = _opened(circuit)
        training_spec(self.circuit)
        self.account = account_of(key)
        self.address = str(self.account.address)
        self.folder = Path(folder)
        self.dataset = dataset_of(self.circuit, data, self.folder / "dataset.json")
        self._opened = ExitStack()
        self.prover = prover_of(prover, self._opened)
        self._loss = loss
        self._every = checkpoint_every
        self._round: TrainingRound | None = None
        self._target: RoundFolder | None = None

    # -- taking part ----------------------------------------------------------------------------

    def registration(self, model: OfflineModel | bytes) -> Registration:
        """Sign up for a model's rounds in folders, with the root of this trainer's batches."""
        model_id = model if isinstance(model, bytes) else model.id
        return register(model_id, self.dataset.tree.root, len(self.dataset), self.account)

    def register(self, hub: HubClient, model_id: bytes) -> Receipt | None:
        """Register the dataset's root on a hub, unless it stands there already."""
        own = hub.acting_as(self.account)
        return TrainerSession(self.circuit, self.dataset, own, model_id, self.folder).register()

    def round(
        self,
        target: RoundFolder | Path | str | int,
        model: ModelVector | None = None,
        *,
        model_id: bytes | None = None,
        max_steps: int | None = None,
    ) -> TrainingRound:
        """Begin a round, or go on with it: one in a folder, or number ``target`` of ``model_id`` on a hub.

        In a folder the plan is checked before anything is trained: its signature, that it holds this
        trainer's root, and the model it starts from; ``model_id`` says which model it must be of. On a hub
        ``model`` is the current one. Raises :class:`RoundFault` for a plan that does not hold,
        :class:`CallerError` for what is missing.
        """
        if isinstance(target, int):
            if model is None or model_id is None:
                raise CallerError("a round of a hub takes the current model and the model's id")
            self._target = None
            base, number, steps = model, target, max_steps or DEFAULT_STEPS
        else:
            folder = target if isinstance(target, RoundFolder) else RoundFolder(target)
            base = self._joined(folder, model_id)
            plan = folder.plan
            model_id, number = plan.id_bytes, plan.number
            steps = min(max_steps or plan.model.max_steps, plan.model.max_steps)
            self._target = folder
        self._round = TrainingRound(
            self.circuit,
            self.dataset,
            self.address,
            base,
            model_id=model_id,
            number=number,
            max_steps=steps,
            folder=self.folder / model_id.hex()[:16] / f"round{number}",
            prover=self.prover,
            loss=self._loss_of,
            checkpoint_every=self._every,
        )
        return self._round

    def _joined(self, folder: RoundFolder, model_id: bytes | None) -> ModelVector:
        base = check_plan(folder, self.circuit, None, model_id=model_id)
        own = folder.plan.registration(self.address)
        if own is None:
            raise CallerError(
                f"{self.address} is not in the plan of {folder.path}",
                hint="send trainer.registration(model) to whoever opens the round",
            )
        if to_bytes(own.dataset_root) != self.dataset.tree.root:
            raise CallerError(f"{folder.path} has another dataset root of {self.address} than this dataset")
        return base

    # -- the loop -------------------------------------------------------------------------------

    @property
    def current(self) -> TrainingRound:
        """The round in hand; raises :class:`CallerError` before :meth:`round`."""
        if self._round is None:
            raise CallerError("no round is in hand", hint="with trainer.round(...):")
        return self._round

    def __iter__(self) -> Iterator[NumberedBatch]:
        return iter(self.current)

    def step(
        self, x: NumberedBatch | Batch | int | tuple[Floats, ...] | Floats, y: Floats | None = None
    ) -> TakenStep:
        """Take one exact step: on a batch of the loop, on one by its number, or on ``(x, y)`` as given.

        What is given as numbers must be a batch of the dataset. Raises :class:`CallerError` otherwise.
        """
        if isinstance(x, NumberedBatch | Batch | int):
            return self.current.step(x)
        parts = x if y is None else (x, y)
        if not isinstance(parts, tuple | list):
            raise CallerError("a step takes a batch of the loop, its number, or x and y")
        return self.current.step(Batch.from_floats(self.circuit, *(np.asarray(p) for p in parts)))

    @property
    def model(self) -> ModelVector:
        """The model after the steps so far."""
        return self.current.model

    @property
    def update(self) -> IntArray:
        """The update so far (D + S,)."""
        return self.current.update

    def load_into(self, module: nn.Module) -> None:
        """Give a PyTorch module the weights after the last step, as near as its numbers come to them."""
        import torch  # noqa: PLC0415 - two seconds, and nothing else here needs it

        theta = torch.from_numpy(self.model.floats)
        parameters = list(module.parameters())
        if sum(p.numel() for p in parameters) != len(theta):
            raise CallerError(
                f"the module has {sum(p.numel() for p in parameters)} parameters, "
                f"{self.circuit.name!r} {len(theta)}"
            )
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(theta.to(parameters[0].dtype), parameters)

    def checkpoint(self) -> Path:
        """Write what is not written yet of the round in hand; return its folder."""
        return self.current.checkpoint()

    # -- proving and handing in -----------------------------------------------------------------

    def prove(self) -> list[Future[Proof]]:
        """Begin to prove the steps so far, in the background; see :meth:`TrainingRound.prove`."""
        return self.current.prove()

    def commit(self) -> None:
        """Sign the steps of a round in a folder before showing any; :meth:`submit` does it too."""
        if self._target is None:
            raise CallerError("the round in hand is not one of a folder", hint="submit(to=hub) commits")
        commit_to_folder(self.current, self._target, self.account)

    def submit(
        self,
        to: HubClient | RoundFolder | Path | str | None = None,
        *,
        store: ContentStore | None = None,
        vka: tuple[bytes, ...] = (),
        wait_s: float = 0.0,
    ) -> Path | Receipt | None:
        """Wait for the proofs and hand the round in: to the folder it was begun in, or to a hub.

        To a hub: commits if need be, waits up to ``wait_s`` seconds for the submit phase, leaves the update
        in ``store``. Raises :class:`NotYet` where others may still commit.
        """
        if isinstance(to, Path | str):
            to = RoundFolder(to, store=store)
        target = to or self._target
        if target is None:
            raise CallerError("submit where?", hint="submit(to=hub), or to=the round's folder")
        if isinstance(target, RoundFolder):
            return submit_to_folder(self.current, target, self.account)
        own = target.acting_as(self.account)
        return submit_to_hub(self.current, own, vka=vka, store=store, wait_s=wait_s)

    def close(self) -> None:
        """End the prover that was opened here by its name; one that was given stays open."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _loss_of(self, model: ModelVector, batch: Batch) -> float:
        if self._loss is None:
            self._loss = declared_loss(self.circuit)
        return self._loss(model, batch)


def _opened(circuit: Circuit | str) -> Circuit:
    if isinstance(circuit, Circuit):
        return circuit
    from fedproof import open_circuit  # noqa: PLC0415 - the package's own name, which imports this on demand

    return open_circuit(circuit)
