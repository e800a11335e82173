"""Rounds of a circuit with an optimiser's state, in folders: from zeros in each round, handed on by steps.

The circuits are not compiled: proofs are their commitments and padding, and a prover accepts all. What is
checked here is what stands around the proofs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rounds"))

from tiny_circuits import PARAMETERS, NotingProver, momentum_circuits, sample_data, tiny_srs

from fedproof.chain.accounts import devnet_account
from fedproof.circuits.layout import VK
from fedproof.circuits.store import Circuit
from fedproof.exchange.aggregate import FolderAggregator
from fedproof.exchange.documents import OfflineModel
from fedproof.exchange.faults import RoundFault
from fedproof.exchange.opening import open_round
from fedproof.exchange.verify import verify_round
from fedproof.rounds import ModelVector
from fedproof.training import ProvingTrainer

pytestmark = pytest.mark.reference

__all__ = ["momentum_circuits", "tiny_srs"]

OWNER, TRAINER = devnet_account(0), devnet_account(1)


@dataclass
class Accepting(NotingProver):
    toolchain: str = "none"
    parallel: int = 1

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def stateful(momentum_circuits: tuple[Circuit, Circuit]) -> tuple[Circuit, Circuit]:
    for circuit in momentum_circuits:
        vars(circuit)["manifest"] = circuit.manifest.model_copy(update={"artefacts": {VK: "0" * 64}})
    return momentum_circuits


def test_a_state_starts_from_zeros_and_is_handed_on(
    stateful: tuple[Circuit, Circuit], tmp_path: Path
) -> None:
    training, average = stateful
    assert training.manifest.has("state")
    genesis = ModelVector.from_floats(training, np.linspace(-0.4, 0.4, PARAMETERS))
    model = OfflineModel.of(training, average, genesis, OWNER.address, max_steps=2)
    trainer = ProvingTrainer(
        training, key=TRAINER, data=sample_data(8), folder=tmp_path / "t", prover=Accepting(training)
    )
    folder = open_round(tmp_path / "round", model, training, genesis, [trainer.registration(model)], OWNER)
    with trainer.round(folder) as work:
        work.step(0)
    again = ProvingTrainer(training, key=TRAINER, folder=tmp_path / "t", prover=Accepting(training))
    with again.round(folder) as work:
        work.step(1)
        assert work.steps[1].slot("state") == work.steps[0].slot("new_state")
        again.submit()
    FolderAggregator(folder, training, average, OWNER, prover=Accepting(average)).finish()
    circuits = {"tiny": training, "tiny-average": average}
    report = verify_round(folder.path, circuits.__getitem__, prover=Accepting(training))
    assert report.proofs == 3

    # The same two steps, the second from zeros again: its proof is of another state.
    forgetful = ProvingTrainer(
        training, key=TRAINER, data=trainer.dataset, folder=tmp_path / "f", prover=Accepting(training)
    )
    other = open_round(tmp_path / "other", model, training, genesis, [trainer.registration(model)], OWNER)
    with forgetful.round(other) as work:
        work.step(0)
        work._trainer.state = ModelVector.zeros(training)
        work.step(1)
        forgetful.submit()
    with pytest.raises(RoundFault, match="another state than step 0 ended at"):
        FolderAggregator(other, training, average, OWNER, prover=Accepting(average)).finish()
