"""The driver of rounds: it does what is still missing, and relies on nothing it has not checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hub_in_memory import HubInMemory, Memory
from tiny_circuits import PARAMETERS, NotingProver, sample_data

from fedproof.chain.hub import HubClient, Phase
from fedproof.circuits.store import Circuit
from fedproof.commitments import CommitmentMismatch
from fedproof.errors import CallerError, TerminalError
from fedproof.rounds import Aggregator, Dataset, ModelVector
from fedproof.rounds.driver import RoundDriver
from fedproof.rounds.session import TrainerSession

pytestmark = pytest.mark.reference

MODEL_ID, PEOPLE, STEPS = bytes(range(32)), ("0x" + "aa" * 20, "0x" + "bb" * 20), 2


@dataclass
class Game:
    """One model, two trainers, and the provers that note what they are asked."""

    memory: Memory
    folder: Path
    datasets: list[Dataset]
    training: NotingProver
    average: NotingProver

    def driver(self, people: int = 2) -> RoundDriver:
        """A driver that knows nothing but the folder and the hub."""
        sessions = [
            TrainerSession(
                self.memory.training,
                dataset,
                cast(HubClient, HubInMemory(self.memory, address)),
                MODEL_ID,
                self.folder / address,
                self.training,
            )
            for address, dataset in list(zip(PEOPLE, self.datasets, strict=True))[:people]
        ]
        hub = cast(HubClient, HubInMemory(self.memory, "0xcc"))
        aggregator = Aggregator(self.memory.average, self.average)
        return RoundDriver(hub, MODEL_ID, sessions, aggregator, self.folder, steps=STEPS)

    @property
    def proven(self) -> tuple[int, int]:
        return len(self.training.asked), len(self.average.asked)


@pytest.fixture
def game(circuits: tuple[Circuit, Circuit], tmp_path: Path) -> Game:
    training, average = circuits
    genesis = ModelVector.from_floats(training, np.linspace(-0.5, 0.5, PARAMETERS))
    memory = Memory(training, average, training.committer.pure(genesis.vector), len(PEOPLE))
    datasets = [Dataset.from_floats(training, *sample_data(8, seed)) for seed in range(2)]
    game = Game(memory, tmp_path, datasets, NotingProver(training), NotingProver(average))
    game.driver().keep_model(genesis, 0)
    return game


def test_rounds_follow_each_other(game: Game) -> None:
    driver = game.driver()
    for number in (1, 2, 3):
        outcome = driver.run()
        assert outcome.number == number
        state = game.memory.rounds[number - 1]
        assert outcome.model_hash == state.model_hash
        assert game.memory.training.committer.pure(outcome.model.vector) == state.result
        assert np.array_equal(driver.model_of(number).vector, outcome.model.vector)
        assert set(outcome.seconds) == {"train", "commit", "prove", "submit", "aggregate", "finalize"}
        assert game.proven == (4 * number, number)
    assert len(game.memory.calls) == 3 * (1 + 2 + 2 + 1)


@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("open", "before"),
        *((call, when) for call in ("commit", "submit", "finalize") for when in ("before", "after")),
    ],
)
def test_a_lost_chain_anywhere_is_made_up_for(game: Game, call: str, when: str) -> None:
    setattr(game.memory, "fail" if when == "before" else "fail_after", call)
    with pytest.raises(ConnectionError, match=call):
        game.driver().run()
    game.memory.fail = game.memory.fail_after = ""
    outcome = game.driver().run()
    proofs = (8, 2) if (call, when) == ("finalize", "after") else (4, 1)
    assert game.memory.rounds[outcome.number - 1].phase is Phase.FINALIZED
    assert outcome.number == (2 if (call, when) == ("finalize", "after") else 1)
    assert game.proven == proofs
    assert len(game.memory.calls) == len(set(game.memory.calls)) * outcome.number


def test_a_round_that_expired_is_cancelled_and_the_next_one_trains_from_the_same_model(game: Game) -> None:
    driver = game.driver()
    driver.run()
    game.memory.fail = "submit"
    with pytest.raises(ConnectionError):
        driver.run()
    game.memory.fail = ""
    game.memory.rounds[1].phase = Phase.EXPIRED
    outcome = game.driver().run()
    assert [r.phase for r in game.memory.rounds] == [Phase.FINALIZED, Phase.CANCELLED, Phase.FINALIZED]
    assert (outcome.number, game.memory.rounds[2].parent) == (3, 1)


def test_an_update_that_was_changed_on_its_way_is_named(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = TrainerSession.publish_update

    def tampered(self: TrainerSession, number: int, work: object) -> Path:
        path = publish(self, number, work)  # type: ignore[arg-type]
        kept = json.loads(path.read_text())
        if self.address == PEOPLE[1]:
            kept["update"][0] += 1
        path.write_text(json.dumps(kept))
        return path

    monkeypatch.setattr(TrainerSession, "publish_update", tampered)
    with pytest.raises(CommitmentMismatch, match=f"update of {PEOPLE[1]}"):
        game.driver().run()
    assert game.memory.rounds[0].phase is Phase.FINALIZE
    assert game.proven == (4, 0)

    # left out by the guardians, it is neither needed nor averaged
    game.memory.rounds[0].submissions[1].left_out = True
    outcome = game.driver().run()
    first = outcome.work[PEOPLE[0]]
    assert np.array_equal(outcome.model.vector, game.driver().model_of(0).vector + first.update)


def test_a_trainer_nobody_knows_is_not_averaged_over(game: Game) -> None:
    game.memory.fail = "finalize"
    with pytest.raises(ConnectionError):
        game.driver().run()
    game.memory.fail = ""
    with pytest.raises(TerminalError, match=f"no update of {PEOPLE[1]} was received"):
        game.driver(people=1).run()


@pytest.mark.parametrize("number", [0, 1])
def test_nobody_trains_from_a_model_that_is_not_the_hubs(game: Game, number: int) -> None:
    if number:
        game.driver().run()
    path = game.driver().model_path(number)
    kept = json.loads(path.read_text())
    kept["vector"][3] += 1
    path.write_text(json.dumps(kept))
    with pytest.raises(CommitmentMismatch, match=f"model of round {number}"):
        game.driver().run()
    path.unlink()
    with pytest.raises(CallerError, match="no model file"):
        game.driver().run()


def test_an_average_of_other_updates_is_proven_again(game: Game) -> None:
    game.memory.fail = "finalize"
    with pytest.raises(ConnectionError):
        game.driver().run()
    game.memory.rounds[0].submissions[1].left_out = True
    with pytest.raises(ConnectionError):
        game.driver().run()
    assert game.proven == (4, 2)
    game.memory.fail = ""
    game.driver().run()
    assert game.proven == (4, 2)


def test_no_trainers(game: Game) -> None:
    with pytest.raises(CallerError, match="at least one trainer"):
        game.driver(people=0)
