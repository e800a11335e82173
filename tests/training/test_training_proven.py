"""Real proofs: a trainer that is killed proves nothing twice; the whole way by the command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from folder_world import OWNER, PEOPLE, STRANGER, FolderWorld, data_of, signed_plan

from fedproof.cli import run
from fedproof.exchange import ContentStore
from fedproof.exchange.folder import RoundFolder
from fedproof.training import ProvingTrainer

pytestmark = pytest.mark.prove

SCRIPT = Path(__file__).with_name("train_and_die.py")
SOURCES = Path(__file__).resolve().parents[2] / "prover"


def environment(world: FolderWorld) -> dict[str, str]:
    paths = os.pathsep.join([str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])])
    places = {"FEDPROOF_PROJECT": str(world.project.root), "FEDPROOF_BUILD": str(world.project.build)}
    return os.environ | places | {"PYTHONPATH": paths}


def test_a_killed_trainer_proves_nothing_twice(world: FolderWorld, tmp_path: Path) -> None:
    folder = world.open(tmp_path / "round", 1, world.genesis)
    private, ledger = tmp_path / "private", tmp_path / "ledger"
    private.mkdir()
    shutil.copy(world.trainers[0].folder / "dataset.json", private)
    command = [sys.executable, str(SCRIPT), str(folder.path), str(private), str(ledger)]
    first = subprocess.Popen([*command, "--hang"], env=environment(world), stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "proven\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert not folder.has_submission(PEOPLE[0].address)
    subprocess.run(command, env=environment(world), check=True, timeout=120)
    assert len(ledger.read_text().split()) == 2
    left = {t.address: "not asked" for t in world.trainers[1:]}
    world.aggregator(folder).finish(left)
    assert world.check(folder.path).proofs == 3


def test_updates_travel_through_another_store(world: FolderWorld, tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "elsewhere")
    opened = world.open(tmp_path / "round", 1, world.genesis)
    folder = RoundFolder(opened.path, store=store)
    trainer = world.trainers[0]
    # The steps that were proven for this very round and model serve again.
    before = world.prover.proofs
    with trainer.round(folder):
        trainer.submit()
    assert world.prover.proofs == before
    world.aggregator(folder).finish({t.address: "not asked" for t in world.trainers[1:]})
    assert not (folder.path / "store").exists()
    assert world.check(folder.path, store=store).proofs == 3
    # A store that is named besides does not hide what the folder has itself.
    assert world.check(world.rounds[0].path, store=store).proofs == 7


def test_the_whole_way_by_the_command(
    world: FolderWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fedproof(key: object, *arguments: object, code: int = 0) -> dict[str, object]:
        capsys.readouterr()
        monkeypatch.setenv("FEDPROOF_PRIVATE_KEY", key.key.hex())  # type: ignore[attr-defined]
        found = run([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert found == code, (out, err)
        document = json.loads(out)
        assert isinstance(document, dict)
        return document

    monkeypatch.setenv("FEDPROOF_PROJECT", str(world.project.root))
    monkeypatch.setenv("FEDPROOF_BUILD", str(world.project.build))
    monkeypatch.setenv("FEDPROOF_JOBS", str(tmp_path / "jobs"))
    monkeypatch.delenv("FEDPROOF_KEYSTORE", raising=False)
    monkeypatch.delenv("FEDPROOF_STORE", raising=False)
    home = tmp_path / "federation"
    made = fedproof(OWNER, "offline", "model", "tiny", "--folder", home, "--steps", 1)
    registrations: list[object] = []
    for i, key in enumerate(PEOPLE[:2]):
        x, y = data_of(i)
        np.savez(tmp_path / "data.npz", x=x / 4, y=y / 8 - 0.5)
        private, registration = tmp_path / f"private{i}", tmp_path / f"registration{i}.json"
        fedproof(
            key, "offline", "join", home / "model.json", "--data", tmp_path / "data.npz",
            "--private", private, "-o", registration,
        )  # fmt: skip
        registrations += ["--registration", registration]
    one = tmp_path / "one"
    opening = ("--model", home / "model.json", "--base", home / "genesis.json", *registrations)
    assert fedproof(STRANGER, "offline", "open", one, *opening, code=2)["error"] == "CallerError"
    assert fedproof(OWNER, "offline", "open", one, *opening)["round"] == 1
    fedproof(PEOPLE[0], "offline", "train", one, "--private", tmp_path / "private0")
    waiting = fedproof(OWNER, "offline", "aggregate", one, code=75)
    assert PEOPLE[1].address in str(waiting["message"])
    assert fedproof(STRANGER, "verify-round", one, code=2)["error"] == "CallerError"
    fedproof(PEOPLE[1], "offline", "train", one, "--private", tmp_path / "private1")
    assert len(fedproof(OWNER, "offline", "aggregate", one)["included"]) == 2  # type: ignore[arg-type]
    found = fedproof(STRANGER, "verify-round", one, "--model-id", made["model_id"])
    assert found["valid"] is True
    assert [r["proofs"] for r in found["rounds"]] == [3]  # type: ignore[attr-defined]
    assert fedproof(STRANGER, "verify-round", one, "--model-id", "0x12", code=2)["error"] == "CallerError"
    other = "0x" + "00" * 32
    assert fedproof(STRANGER, "verify-round", one, "--model-id", other, code=3)["error"] == "RoundFault"
    proof = RoundFolder(one).proof_path(PEOPLE[0].address, 0)
    proof.unlink()
    fault = fedproof(STRANGER, "verify-round", one, code=3)
    assert str(proof) in str(fault["message"])
    assert run(["verify-round", str(one)]) == 3
    assert f"error: {proof}: no proof file" in capsys.readouterr().err


def test_a_trainer_that_is_not_in_the_plan(world: FolderWorld, tmp_path: Path) -> None:
    from fedproof.errors import CallerError
    from fedproof.exchange.faults import RoundFault

    stranger = ProvingTrainer(
        world.training, key=STRANGER, data=data_of(8), folder=tmp_path / "s", prover=world.prover
    )
    with pytest.raises(CallerError, match="is not in the plan"):
        stranger.round(world.rounds[0])
    other = ProvingTrainer(
        world.training, key=PEOPLE[0], data=data_of(8), folder=tmp_path / "o", prover=world.prover
    )
    with pytest.raises(CallerError, match="another dataset root"):
        other.round(world.rounds[0])
    with pytest.raises(RoundFault, match="not of 0x"):
        world.trainers[0].round(world.rounds[0], model_id=bytes(32))


def test_a_commitment_is_final(world: FolderWorld, tmp_path: Path) -> None:
    from fedproof.errors import CallerError

    folder = world.open(tmp_path / "round", 1, world.genesis)
    for private in ("first", "second"):
        shutil.copytree(world.trainers[0].folder, tmp_path / private, ignore=lambda *_: [])
        shutil.rmtree(next((tmp_path / private).glob("*/round1")))
    first, second = (
        ProvingTrainer(world.training, key=PEOPLE[0], folder=tmp_path / p, prover=world.prover)
        for p in ("first", "second")
    )
    with first.round(folder):
        first.step(0)
        first.commit()
        first.commit()
    with second.round(folder):
        second.step(1)
        with pytest.raises(CallerError, match="has committed to other steps"):
            second.commit()
    signed_plan(folder, min_trainers=2)
    with first.round(RoundFolder(folder.path)), pytest.raises(CallerError, match="has another plan"):
        first.commit()
