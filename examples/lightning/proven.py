"""A callback that lets PyTorch Lightning drive proven training, with the circuit's own weights."""

from __future__ import annotations

import numpy as np
import pytorch_lightning as pl
import torch

from fedproof import CallerError, ProvingTrainer
from fedproof.training import TakenStep


class ProvenSteps(pl.Callback):
    """Takes each step of a fit in exact integers, proves it in the background, gives the module the result.

    The trainer's round must have begun. The module optimises manually, and in truth not at all: what it is
    given after each batch are the exact weights, and a module that has changed them is refused. ``loss`` of
    the last step is logged as ``exact_loss``.
    """

    def __init__(self, trainer: ProvingTrainer) -> None:
        self.proving = trainer
        self.taken: list[TakenStep] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin at the global model, or where an interrupted round stopped."""
        if pl_module.automatic_optimization:
            raise CallerError(
                "Lightning would step an optimiser of its own, in floats, which nothing proves",
                hint="self.automatic_optimization = False, and no optimiser",
            )
        if trainer.world_size != 1 or trainer.accumulate_grad_batches != 1:
            raise CallerError("a proven step is one batch in one process")
        self.proving.load_into(pl_module)

    def on_train_batch_start(
        self, _trainer: pl.Trainer, pl_module: pl.LightningModule, _batch: object, _index: int
    ) -> None:
        """Refuse a module whose weights are not the exact ones."""
        self._demand_exact(pl_module)

    def on_train_batch_end(
        self,
        _trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        _outputs: object,
        batch: tuple[torch.Tensor, torch.Tensor],
        _index: int,
    ) -> None:
        """Take the step that counts."""
        self._demand_exact(pl_module)
        x, y = batch
        step = self.proving.step(x.detach().cpu(), y.detach().cpu())
        self.proving.prove()
        self.proving.load_into(pl_module)
        pl_module.log("exact_loss", step.loss, prog_bar=True)
        self.taken.append(step)

    def on_train_end(self, _trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing may have moved since the last step."""
        self._demand_exact(pl_module)

    def _demand_exact(self, module: pl.LightningModule) -> None:
        found = torch.nn.utils.parameters_to_vector(module.parameters()).detach().cpu()
        exact = torch.from_numpy(self.proving.model.floats).to(found.dtype)
        wrong = np.flatnonzero((found != exact).numpy())
        if wrong.size:
            raise CallerError(
                f"weight {wrong[0]} of the module is {float(found[wrong[0]])}, "
                f"after the steps that are proven it is {float(exact[wrong[0]])}",
                hint="nothing but this callback may change the weights during a round",
            )
