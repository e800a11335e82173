"""A loop with a ProvingTrainer: exact steps, proofs in the background, and nothing lost on the way."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hub_in_memory import HubInMemory, Memory
from tiny_circuits import PARAMETERS, NotingProver, sample_data

from fedproof.chain.accounts import devnet_account
from fedproof.chain.digests import commit_digest
from fedproof.chain.hub import HubClient, Phase
from fedproof.circuits.store import Circuit
from fedproof.commitments import add
from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.exchange import ContentStore, UpdateExchange
from fedproof.provers import ProofRun, ProverKilled
from fedproof.rounds import ModelVector, Trainer
from fedproof.rounds.trainer import update_commitment
from fedproof.training import ProvingTrainer
from fedproof.training.delivery import NotYet

pytestmark = pytest.mark.reference

KEY, MODEL_ID = devnet_account(1), bytes(range(32))


@dataclass
class Slow(NotingProver):
    """Notes what it is asked; waits for ``gate``, and fails as often as ``faults`` says."""

    gate: threading.Event = field(default_factory=threading.Event)
    faults: int = 0
    toolchain: str = "none"
    parallel: int = 2

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        assert self.gate.wait(30)
        if self.faults:
            self.faults -= 1
            raise ProverKilled("killed")
        return super().prove(folder, srs, slots)

    def close(self) -> None:
        raise AssertionError("a prover that was given is not closed")


@pytest.fixture
def prover(training: Circuit) -> Slow:
    slow = Slow(training)
    slow.gate.set()
    return slow


@pytest.fixture
def start(training: Circuit) -> ModelVector:
    return ModelVector.from_floats(training, np.linspace(-0.5, 0.5, PARAMETERS))


@dataclass
class Maker:
    circuit: Circuit
    prover: Slow
    folder: Path

    def __call__(self, **more: Any) -> ProvingTrainer:
        given = {"key": KEY, "data": sample_data(8), "folder": self.folder, "prover": self.prover} | more
        return ProvingTrainer(self.circuit, **given)


@pytest.fixture
def make(training: Circuit, prover: Slow, tmp_path: Path) -> Iterator[Maker]:
    yield Maker(training, prover, tmp_path / "trainer")
    prover.gate.set()


def test_a_loop_takes_the_exact_steps(make: Maker, start: ModelVector) -> None:
    trainer = make()
    plain = Trainer(make.circuit, start)
    with trainer.round(1, start, model_id=MODEL_ID):
        for batch in trainer:
            step = trainer.step(batch)
            ours = plain.step(trainer.dataset.batches[batch.index])
            assert np.array_equal(step.prepared.vector[:PARAMETERS], ours.vector[:PARAMETERS])
        assert trainer.current.batches == [0, 1]
        moved = trainer.model.parameters - start.parameters
        assert np.array_equal(trainer.update[:PARAMETERS], moved)
        assert trainer.current.digest == commit_digest(
            MODEL_ID,
            1,
            trainer.address,
            trainer.current.nonce,
            [p for s in trainer.current.steps for n in ("batch", "step") for p in s.commitment(n)],
        )
    assert make.prover.asked == []


def test_rounds_take_the_next_batches_in_turn(make: Maker, start: ModelVector) -> None:
    trainer, used = make(data=sample_data(6)), []
    for number in (1, 2, 3):
        with trainer.round(number, start, model_id=MODEL_ID) as work:
            used.append([trainer.step(batch).batch for batch in trainer])
            assert used[-1] == work.batches
    assert used == [[0, 1], [2, 0], [1, 2]]


def test_batches_are_found_by_what_they_hold(make: Maker, start: ModelVector) -> None:
    x, y = sample_data(8)
    trainer = make()
    with trainer.round(1, start, model_id=MODEL_ID):
        assert trainer.step(torch.from_numpy(x[4:6]), torch.from_numpy(y[4:6])).batch == 2
        assert trainer.step((x[:2], y[:2])).batch == 0
        assert trainer.current.batches == [2, 0]


def test_equal_batches_are_each_used_once(make: Maker, start: ModelVector) -> None:
    x, y = sample_data(2)
    trainer = make(data=(np.tile(x, (2, 1)), np.tile(y, (2, 1))))
    with trainer.round(1, start, model_id=MODEL_ID, max_steps=3):
        assert [trainer.step(x, y).batch for _ in range(2)] == [0, 1]
        with pytest.raises(CallerError, match="was used in round 1 already"):
            trainer.step(x, y)


def test_what_no_round_takes(make: Maker, start: ModelVector) -> None:
    x, y = sample_data(8)
    trainer = make()
    with pytest.raises(CallerError, match="no round is in hand"):
        trainer.step(0)
    with pytest.raises(CallerError, match="takes the current model"):
        trainer.round(1)
    with trainer.round(1, start, model_id=MODEL_ID):
        with pytest.raises(CallerError, match="not in the trainer's dataset"):
            trainer.step(*sample_data(2, seed=5))
        with pytest.raises(CallerError, match="not in the trainer's dataset"):
            trainer.step(x[1:3], y[1:3])
        with pytest.raises(CallerError, match="there is no batch 4"):
            trainer.step(4)
        with pytest.raises(CallerError, match="a batch of the loop, its number, or x and y"):
            trainer.step(x[:2])
        with pytest.raises(CallerError, match="no step was taken"):
            trainer.submit(to=cast(HubClient, FakeHub(Memory(make.circuit, make.circuit, (), 1), "0x")))
        trainer.step(1)
        with pytest.raises(CallerError, match="batch 1 was used in round 1 already"):
            trainer.step(1)
        trainer.step(0)
        with pytest.raises(CallerError, match="takes 2 steps"):
            trainer.step(2)
        with pytest.raises(CallerError, match="submit where"):
            trainer.submit()


# -- proofs in the background -----------------------------------------------------------------------------


def test_training_goes_on_while_proofs_are_made(make: Maker, start: ModelVector) -> None:
    make.prover.gate.clear()
    trainer = make()
    with trainer.round(1, start, model_id=MODEL_ID) as work:
        trainer.step(0)
        (first,) = trainer.prove()
        trainer.step(1)
        again, second = trainer.prove()
        assert again is first
        assert (work.proven, first.done(), second.done()) == (0, False, False)
        make.prover.gate.set()
        assert [p.key for p in work.proofs()] == ["key-of-tiny"] * 2
        assert work.proven == 2
    assert len(make.prover.asked) == 2


def test_a_fault_is_told_and_the_next_call_proves_again(make: Maker, start: ModelVector) -> None:
    make.prover.faults = 1
    trainer = make()
    with trainer.round(1, start, model_id=MODEL_ID) as work:
        trainer.step(0)
        (failed,) = trainer.prove()
        with pytest.raises(ProverKilled):
            failed.result()
        assert len(work.proofs()) == 1
        assert work.proven == 1


def test_the_end_of_a_round_waits_for_what_runs(make: Maker, start: ModelVector) -> None:
    trainer = make()
    with trainer.round(1, start, model_id=MODEL_ID):
        trainer.step(0)
        (future,) = trainer.prove()
    assert future.done()
    assert not [t for t in threading.enumerate() if t.name.startswith("prove-round")]


# -- interruptions ---------------------------------------------------------------------------------------


def test_a_trainer_goes_on_where_it_stopped(make: Maker, start: ModelVector) -> None:
    trainer = make()
    with pytest.raises(KeyboardInterrupt), trainer.round(1, start, model_id=MODEL_ID) as work:
        for batch in trainer:
            trainer.step(batch)
            trainer.prove()[0].result()
            raise KeyboardInterrupt
    second = make(data=None)
    with second.round(1, start, model_id=MODEL_ID) as again:
        assert again.nonce == work.nonce
        assert again.steps[0].slots == work.steps[0].slots
        assert [second.step(batch).batch for batch in second] == [1]
        assert len(again.proofs()) == 2
    assert len(make.prover.asked) == 2
    third = make()
    with third.round(1, start, model_id=MODEL_ID) as whole:
        assert (whole.digest, list(third)) == (again.digest, [])
        whole.proofs()
    assert len(make.prover.asked) == 2
    assert third.dataset.tree.root == trainer.dataset.tree.root


def test_checkpoints_by_hand(make: Maker, start: ModelVector) -> None:
    trainer = make(checkpoint_every=0)
    work = trainer.round(1, start, model_id=MODEL_ID)
    trainer.step(0)
    assert make().round(1, start, model_id=MODEL_ID).steps == []
    folder = trainer.checkpoint()
    assert len(make().round(1, start, model_id=MODEL_ID).steps) == 1
    assert folder == work.folder
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_what_is_kept_of_another_round_is_not_used(
    make: Maker, start: ModelVector, training: Circuit
) -> None:
    with make().round(1, start, model_id=MODEL_ID) as work:
        work.step(0)
    other = ModelVector.from_floats(training, np.zeros(PARAMETERS))
    with pytest.raises(CallerError, match="another base"):
        make().round(1, other, model_id=MODEL_ID)
    assert make().round(1, other, model_id=bytes(32)).steps == []
    assert make().round(2, other, model_id=MODEL_ID).steps == []


def test_two_processes_in_one_folder_are_noticed(make: Maker, start: ModelVector) -> None:
    first, second = (make().round(1, start, model_id=MODEL_ID) for _ in range(2))
    first.step(0)
    with pytest.raises(CallerError, match="two processes train in one folder"):
        second.step(0)


@pytest.mark.parametrize("name", ["start.json", "step0.json"])
@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "batch": 0, "slots": [["x"]]}'])
def test_damage_is_named(make: Maker, start: ModelVector, name: str, text: str) -> None:
    with make().round(1, start, model_id=MODEL_ID) as work:
        work.step(0)
    (work.folder / name).write_text(text)
    with pytest.raises(TerminalError, match="is damaged"):
        make().round(1, start, model_id=MODEL_ID)


def test_a_step_that_does_not_follow_is_refused(make: Maker, start: ModelVector) -> None:
    with make().round(1, start, model_id=MODEL_ID) as work:
        work.step(0)
        work.step(1)
    (work.folder / "step1.json").replace(work.folder / "step0.json")
    with pytest.raises(CallerError, match="taken from another model"):
        make().round(1, start, model_id=MODEL_ID)


# -- data, keys, modules -----------------------------------------------------------------------------------


def test_data_in_every_form_are_the_same_dataset(make: Maker) -> None:
    x, y = sample_data(9)
    first = make(data=(x, y))
    assert len(first.dataset) == 4
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=2
    )
    for data in ((torch.from_numpy(x), torch.from_numpy(y)), loader, first.dataset, None):
        assert make(data=data).dataset.tree.root == first.dataset.tree.root
    for other in (sample_data(9, seed=1), sample_data(6)):
        with pytest.raises(CallerError, match=r"holds other data than were given, from batch \d on"):
            make(data=other)
    with pytest.raises(CallerError, match="no dataset file"):
        make(data=None, folder=make.folder / "other")


def test_keys(make: Maker) -> None:
    for key in (KEY, KEY.key.hex(), bytes(KEY.key)):
        assert make(key=key).address == KEY.address
    with pytest.raises(CallerError, match="no private key") as caught:
        make(key="0xsecret")
    assert "secret" not in str(caught.value)


def test_a_module_takes_the_exact_weights(make: Maker, start: ModelVector) -> None:
    trainer, module = make(), torch.nn.Linear(3, 2)
    with trainer.round(1, start, model_id=MODEL_ID):
        trainer.step(0)
        trainer.load_into(module)
        found = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
        assert np.array_equal(found.double().numpy(), trainer.model.floats)
        with pytest.raises(CallerError, match="has 3 parameters"):
            trainer.load_into(torch.nn.Linear(2, 1))


def test_the_loss_is_that_of_the_model_before_the_step(
    make: Maker, start: ModelVector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPROOF_PROJECT", str(make.circuit.folder))
    x, y = sample_data(8)
    trainer = make()
    with trainer.round(1, start, model_id=MODEL_ID):
        step = trainer.step(x[:2], y[:2])
        weights, bias = start.floats[:6].reshape(2, 3), start.floats[6:]
        exact = 0.5 * ((x[:2] @ weights.T + bias - y[:2]) ** 2).sum() / 2
        assert abs(step.loss - exact) < 0.1
        assert float(step) == step.loss


def test_a_prover_by_its_name_goes_through_the_queue(
    make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fedproof.jobs import DurableProver

    monkeypatch.setenv("FEDPROOF_PROJECT", str(make.circuit.folder))
    monkeypatch.setenv("FEDPROOF_JOBS", str(tmp_path / "jobs"))
    with make(prover="cpu") as trainer:
        assert isinstance(trainer.prover, DurableProver)
    monkeypatch.delenv("FEDPROOF_PROJECT")
    monkeypatch.chdir(tmp_path)
    with make(prover="cpu") as trainer:
        assert trainer.prover.name == "cpu"
        assert not isinstance(trainer.prover, DurableProver)
    with pytest.raises(CallerError, match="no prover"):
        make(prover="abacus")


# -- to a hub ----------------------------------------------------------------------------------------------


class FakeHub(HubInMemory):
    def acting_as(self, account: Any) -> FakeHub:
        return FakeHub(self.memory, account.address)

    def trainer(self, model_id: bytes, address: str) -> SimpleNamespace:
        return SimpleNamespace(dataset_root=b"")

    def register_dataset(self, model_id: bytes, root: bytes) -> str:
        return self._sent(f"register {root.hex()}")


def test_a_round_is_handed_in_to_a_hub(
    make: Maker, start: ModelVector, circuits: tuple[Circuit, Circuit], tmp_path: Path
) -> None:
    memory = Memory(*circuits, circuits[0].committer.pure(start.vector), 2)
    hub = cast(HubClient, FakeHub(memory, "0xcc"))
    hub.open_round(MODEL_ID)
    trainer, store = make(), ContentStore(tmp_path / "updates")
    trainer.register(hub, MODEL_ID)
    with trainer.round(1, start, model_id=MODEL_ID) as work:
        for batch in trainer:
            trainer.step(batch)
        with pytest.raises(NotYet) as caught:
            trainer.submit(to=hub, store=store)
        assert isinstance(caught.value, RetryableError)
        with pytest.raises(CallerError, match="not one of a folder"):
            trainer.commit()
        hub.commit(MODEL_ID, 1, b"the other one")
        memory.rounds[0].phase = Phase.SUBMIT
        assert trainer.submit(to=hub, store=store) == "submit"
        assert trainer.submit(to=hub, store=store) is None
    committed = update_commitment(work.steps)
    assert memory.rounds[0].submissions[0].update == committed
    received = UpdateExchange(store).receive(
        make.circuit.committer,
        committed,
        length=len(start.vector),
        model_id=MODEL_ID,
        round_number=1,
        trainer=trainer.address,
    )
    assert np.array_equal(received, work.update)
    zero = make.circuit.committer.pure([0] * len(start.vector))
    assert add(committed, zero) == committed
    assert [c.split()[0] for c in memory.calls] == ["open", "register", "commit", "commit", "submit"]
