"""Federated digits with PyTorch Lightning: two trainers, one round, every step proven."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
from eth_account import Account
from proven import ProvenSteps
from torch.utils.data import DataLoader, TensorDataset

import fedproof

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from models.digits import split  # noqa: E402 - the checkout's own data and module
from models.linear import Linear  # noqa: E402
from models.losses import squared  # noqa: E402


class Digits(pl.LightningModule):
    """The module of the circuit, with its loss. It has no optimiser: :class:`ProvenSteps` moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.module = Linear()

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _index: int) -> None:
        """Log the loss in floats, of the weights before the step."""
        x, y = batch
        with torch.no_grad():
            self.log("loss", squared(self.module(x.float()), y.float()), prog_bar=True)

    def configure_optimizers(self) -> None:
        """There are none."""


def main(folder: Path, steps: int) -> None:
    """Play one round and check it from its files."""
    shutil.rmtree(folder, ignore_errors=True)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    training = fedproof.open_circuit("digits-linear")
    average = fedproof.open_circuit("digits-linear-average")
    weights = torch.nn.utils.parameters_to_vector(Linear().parameters()).detach()
    base, owner = fedproof.ModelVector.from_floats(training, weights), Account.create()
    model = fedproof.OfflineModel.of(training, average, base, owner.address)
    shards, _ = split(2, 357, 0)
    with fedproof.open_prover() as prover:
        members = [
            fedproof.ProvingTrainer(
                training, key=Account.create(), data=shard, folder=folder / f"trainer{i}", prover=prover
            )
            for i, shard in enumerate(shards)
        ]
        opened = fedproof.open_round(
            folder / "round1", model, training, base, [m.registration(model) for m in members], owner
        )
        for trainer, (x, y) in zip(members, shards, strict=True):
            data = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
            with trainer.round(opened, max_steps=steps):
                pl.Trainer(
                    max_steps=-1, max_epochs=1, limit_train_batches=steps, accelerator="cpu", logger=False,
                    enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
                    callbacks=[ProvenSteps(trainer)],
                ).fit(Digits(), DataLoader(data, batch_size=8, drop_last=True))  # fmt: skip
                trainer.submit()
            print(f"{trainer.address}: {len(trainer.current.batches)} steps proven")
        fedproof.FolderAggregator(opened, training, average, owner, prover=prover).finish()
        circuits = {circuit.name: circuit for circuit in (training, average)}
        report = fedproof.verify_round(opened.path, circuits.__getitem__, model_id=model.id, prover=prover)
    print(f"round 1 holds: {report.proofs} proofs verified, the new model is {report.model_hash}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "examples" / "lightning")
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    main(given.folder, given.steps)
