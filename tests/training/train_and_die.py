"""A trainer in a process of its own, which a test kills: python train_and_die.py FOLDER PRIVATE LEDGER."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fedproof.chain.accounts import devnet_account
from fedproof.circuits.store import CircuitStore
from fedproof.project import Project
from fedproof.provers import CpuProver, ProofRun
from fedproof.training import ProvingTrainer


class Counting(CpuProver):
    """Writes a line for each proof that it made."""

    ledger = Path()

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        run = super().prove(folder, srs, slots)
        with self.ledger.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return run


def main(folder: str, private: str, ledger: str) -> None:
    Counting.ledger = Path(ledger)
    circuit = CircuitStore(Project.find()).get("tiny")
    with Counting() as prover:
        trainer = ProvingTrainer(circuit, key=devnet_account(1), folder=private, prover=prover)
        with trainer.round(folder):
            for batch in trainer:
                trainer.step(batch)
                trainer.prove()[-1].result()
                if "--hang" in sys.argv:
                    print("proven", flush=True)
                    time.sleep(120)
            trainer.submit()


if __name__ == "__main__":
    main(*sys.argv[1:4])
