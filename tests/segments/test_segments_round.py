"""A whole round of a model whose steps are proven in segments: the hub takes their proofs as it takes any."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from segmented_project import parameters

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chain"))

from hub_round import hub_round

from fedproof.circuits.store import CircuitStore
from fedproof.rounds import ModelVector
from fedproof.rounds.audit import check_registration

pytestmark = pytest.mark.e2e

AVERAGE = 'kind = "average"\nof = "cut"\ntable = 7\n\n[plonk]\nlogrows = 9\ncolumns = 2\n'
#: Gas of one transaction with the proof of one step: three segments, verified and linked.
MOST_GAS = 2_500_000


def test_a_round_of_steps_in_segments(store: CircuitStore, tmp_path: Path):
    (store.project.circuits / "cut-average.toml").write_text(AVERAGE)
    training, average = store.get("cut"), store.get("cut-average")
    genesis, g = ModelVector.from_floats(training, parameters(0)), np.random.default_rng(0)
    data = [(g.uniform(-0.5, 0.5, (4, 2)), g.uniform(-0.5, 0.5, (4, 1))) for _ in range(2)]
    with hub_round((training, average), genesis, data, tmp_path) as world:
        check_registration(world.hub, world.model_id, training, average)
        outcome = world.driver.run()
    assert not np.array_equal(outcome.model.parameters, genesis.parameters)
    for work in outcome.work.values():
        assert all(len(proof.segments) == 3 for proof in work.proofs)
    gas = [receipt.gas for receipt in outcome.submits.values() if receipt]
    assert len(gas) == 2
    assert max(gas) < MOST_GAS, gas
    print("gas of a submission:", gas)
