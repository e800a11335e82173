"""Clients with momentum: the optimiser's state starts from zeros in each round, and steps hand it on.

The prover here believes every proof; proofs of steps with momentum are in test_kinds_proven.py.
"""

from __future__ import annotations

import pytest
from flower_stage import Stage
from flower_world import Believing, World, play, with_key

from fedproof.circuits.store import Circuit
from fedproof.exchange.verify import verify_round
from fedproof.rounds import ModelVector

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def quick(momentum_circuits: tuple[Circuit, Circuit], tmp_path_factory: pytest.TempPathFactory) -> World:
    step, mean = map(with_key, momentum_circuits)
    return World(step, mean, Believing(step, mean), tmp_path_factory.mktemp("momentum"), steps=2)


@pytest.fixture(scope="module")
def played(quick: World, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(quick, tmp_path_factory.mktemp("momentum-stage"))


def test_rounds_with_momentum(quick: World, tmp_path) -> None:
    strategy, grid = quick.strategy(tmp_path), quick.honest(2)
    arrays = quick.arrays
    for number in (1, 2):
        (arrays, metrics), _ = play(strategy, grid, arrays, number)
        assert (metrics["fedproof-accepted"], metrics["fedproof-refused"]) == (2, 0)
        report = verify_round(tmp_path / f"round{number}", quick.circuits, prover=quick.prover)
        assert report.proofs == 2 * quick.steps + 1


def test_a_velocity_left_out(stage: Stage) -> None:
    forger = stage.forger()
    forger.step(0)
    forger.trainer.state = ModelVector.zeros(stage.world.training)
    forger.step(1)
    stage.demand_refused(stage.of(forger), "step 1 is proven at another state than step 0 ended at")


def test_a_velocity_from_nowhere(stage: Stage) -> None:
    forger = stage.forger()
    forger.trainer.state = stage.world.genesis
    forger.step(0)
    stage.demand_refused(stage.of(forger), "step 0 is proven at another state")
