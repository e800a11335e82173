"""A round whose process is killed goes on where it stopped: nothing is proven or sent twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from demo_world import CIRCUIT, World, environment
from sklearn.datasets import load_digits

from fedproof.chain.accounts import devnet_account
from fedproof.chain.hub import Phase
from fedproof.circuits.store import CircuitStore
from fedproof.rounds import Dataset, ModelVector
from fedproof.rounds.published import PublishedModel
from fedproof.rounds.registration import model_config, register_model

pytestmark = pytest.mark.e2e

ACCOUNTS, STEPS = (5, 6), 2
SCRIPT = Path(__file__).with_name("play_round.py")


class Stage:
    """A registered model with its trainers' folders, and the processes that play its round."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        store = CircuitStore(world.project)
        training, average = store.get(CIRCUIT), store.get(f"{CIRCUIT}-average")
        genesis = ModelVector.from_floats(training, np.zeros(650))
        guardian = devnet_account(20).address
        config = model_config(
            training,
            average,
            genesis,
            world.deployment,
            guardians=[guardian],
            guardian_threshold=1,
            min_trainers=2,
        )
        people = [devnet_account(index) for index in ACCOUNTS]
        self.model_id, _ = register_model(world.hub, config, [p.address for p in people])
        digits = load_digits()
        x, y = digits.data / 16, np.eye(10)[digits.target]
        for i, (index, person) in enumerate(zip(ACCOUNTS, people, strict=True)):
            dataset = Dataset.from_floats(training, x[24 * i : 24 * i + 24], y[24 * i : 24 * i + 24])
            dataset.save(folder / f"trainer{index}" / "dataset.json")
            world.hub.acting_as(person).register_dataset(self.model_id, dataset.tree.root)
        PublishedModel.of(training, genesis, self.model_id, 0).save(folder / "models" / "round0.json")
        self.told = folder / "told.json"
        told = {
            "root": world.project.root,
            "build": world.project.build,
            "devnet": world.folder / "devnet",
            "deployments": world.folder / "deployments",
            "folder": folder,
            "circuit": CIRCUIT,
            "model_id": self.model_id.hex(),
            "accounts": list(ACCOUNTS),
            "steps": STEPS,
        }
        self.told.write_text(json.dumps({name: str(value) for name, value in told.items()}))

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.told)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(self.world.project),
        )

    def play_until(self, line: str) -> list[str]:
        """Kill the process as soon as it prints ``line``; return what it had printed."""
        process = self.start()
        assert process.stdout and process.stderr
        printed = []
        for text in process.stdout:
            printed.append(text.strip())
            if printed[-1] == line:
                break
        process.kill()
        _, errors = process.communicate()
        assert printed[-1:] == [line], (printed, errors)
        return printed

    def play(self) -> list[str]:
        """Let the process finish; return what it printed."""
        out, errors = self.start().communicate(timeout=300)
        assert "finalized" in out, errors
        return out.splitlines()

    def proofs(self) -> dict[str, int]:
        """When each proof file was written."""
        return {
            str(p.relative_to(self.folder)): p.stat().st_mtime_ns for p in self.folder.rglob("*.proof.json")
        }

    def nonces(self) -> dict[int, int]:
        """How many transactions each trainer has sent."""
        eth = self.world.chains.l2.w3.eth
        return {index: eth.get_transaction_count(devnet_account(index).address) for index in ACCOUNTS}


@pytest.fixture(scope="module")
def stage(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield Stage(world, tmp_path_factory.mktemp("resumed"))


def test_a_killed_round_is_finished_by_the_next_process(stage: Stage) -> None:
    hub, model_id = stage.world.hub, stage.model_id
    before = stage.nonces()

    # killed while the third of four steps is proven: two proofs are there, nobody has submitted
    stage.play_until("prove 2 4")
    first = stage.proofs()
    assert len(first) == 2
    assert hub.phase(model_id, 1) is Phase.SUBMIT
    assert hub.round(model_id, 1).committed == 2
    digests = {index: hub.commit_of(model_id, 1, devnet_account(index).address) for index in ACCOUNTS}

    # killed again, after one of two trainers has submitted
    stage.play_until("submit 1 2")
    second = stage.proofs()
    assert first.items() <= second.items()
    assert len(second) == 4
    assert hub.round(model_id, 1).submitted in (1, 2)
    update = hub.submissions(model_id, 1)[0].update

    # and once more, when the average is proven and not yet finalized, or just so
    stage.play_until("aggregate 1 1")
    third = stage.proofs()
    assert second.items() <= third.items()
    assert len(third) == 5

    printed = stage.play()
    assert stage.proofs().items() >= third.items()
    for index in ACCOUNTS:
        assert hub.commit_of(model_id, 1, devnet_account(index).address) == digests[index]
    assert hub.submissions(model_id, 1)[0].update == update
    assert hub.phase(model_id, 1) is Phase.FINALIZED

    number, found = printed[-1].split()[1:]
    assert hub.model_hash(model_id, int(number)).hex() == found
    circuit = CircuitStore(stage.world.project).get(CIRCUIT)
    kept = PublishedModel.load(stage.folder / "models" / "round1.json")
    circuit.committer.check_opening(np.array(kept.vector), hub.round(model_id, 1).result)
    if number == "1":
        # a commit and a submission each, whatever was killed
        assert stage.nonces() == {index: count + 2 for index, count in before.items()}
        assert len(stage.proofs()) == 5
