"""Federated digits in plain PyTorch: three trainers, two rounds, every step proven, no chain."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import torch
from eth_account import Account
from torch.utils.data import DataLoader, TensorDataset

import fedproof

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from models.digits import split  # noqa: E402 - the checkout's own data and module
from models.linear import Linear  # noqa: E402


def accuracy(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of right answers."""
    with torch.no_grad():
        return float((module(x).argmax(1) == y.argmax(1)).float().mean())


def main(folder: Path, trainers: int, rounds: int, steps: int) -> None:
    """Play the rounds; leave a folder for each, and check them from their files."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    shards, test = split(trainers, 357, 0)
    x_test, y_test = (torch.from_numpy(part).float() for part in test)

    training = fedproof.open_circuit("digits-linear")
    average = fedproof.open_circuit("digits-linear-average")
    module = Linear()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    weights = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    base = fedproof.ModelVector.from_floats(training, weights)

    owner = Account.create()  # who opens and closes rounds; keep such a key as you keep any
    model = fedproof.OfflineModel.of(training, average, base, owner.address)
    with fedproof.open_prover() as prover:  # one for all: they share this machine
        members = [
            fedproof.ProvingTrainer(
                training, key=Account.create(), data=shard, folder=folder / f"trainer{i}", prover=prover
            )
            for i, shard in enumerate(shards)
        ]
        paths = []
        for number in range(1, rounds + 1):
            registrations = [member.registration(model) for member in members]
            paths.append(folder / f"round{number}")
            opened = fedproof.open_round(
                paths[-1], model, training, base, registrations, owner, number=number
            )
            for trainer, (x, y) in zip(members, shards, strict=True):
                data = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
                loader = iter(DataLoader(data, batch_size=8, drop_last=True))
                for _ in range((number - 1) * steps):  # every round goes on where the last one stopped
                    next(loader)
                with trainer.round(opened, max_steps=steps):
                    trainer.load_into(module)  # the global model
                    for _ in range(steps):
                        step = trainer.step(*next(loader))
                        trainer.prove()  # in the background; the next step is taken meanwhile
                        trainer.load_into(module)  # the exact weights after the step
                        print(f"round {number}, {trainer.address[:8]}: loss {step.loss:.3f}")
                    trainer.submit()
            fedproof.FolderAggregator(opened, training, average, owner, prover=prover).finish()
            base = opened.model.model
            weights = torch.from_numpy(base.floats).float()
            torch.nn.utils.vector_to_parameters(weights, module.parameters())
            print(f"round {number}: accuracy {accuracy(module, x_test, y_test):.3f}")
        circuits = {circuit.name: circuit for circuit in (training, average)}
        reports = fedproof.verify_rounds(paths, circuits.__getitem__, model_id=model.id, prover=prover)
    proofs = sum(report.proofs for report in reports)
    print(
        f"{len(reports)} rounds hold, {proofs} proofs verified; {time.perf_counter() - started:.0f} s in all"
    )
    print(f"fedproof verify-round {' '.join(map(str, paths))} --model-id 0x{model.id.hex()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "examples" / "pytorch")
    parser.add_argument("--trainers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    main(given.folder, given.trainers, given.rounds, given.steps)
