"""Rounds in folders, played once a session with real proofs of the smallest circuits.

Compiled into the checkout's own store: its names are hashes of their content, so nothing there is in the way,
and a second run compiles nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from eth_account.signers.local import LocalAccount

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "circuits"))

from tiny_project import tiny_project

from fedproof.chain.accounts import devnet_account
from fedproof.circuits.store import Circuit, CircuitStore
from fedproof.exchange.aggregate import FolderAggregator
from fedproof.exchange.documents import OfflineModel, RoundPlan, RoundResult
from fedproof.exchange.fields import to_bytes
from fedproof.exchange.folder import PLAN, RESULT, RoundFolder
from fedproof.exchange.opening import open_round
from fedproof.exchange.report import RoundReport
from fedproof.exchange.signing import plan_message, result_message, sign
from fedproof.exchange.verify import verify_round
from fedproof.project import Project
from fedproof.provers import CpuProver, ProofRun
from fedproof.provers.base import Closing
from fedproof.rounds import ModelVector
from fedproof.training import ProvingTrainer

OWNER, PEOPLE, STRANGER = devnet_account(0), [devnet_account(i) for i in (1, 2, 3)], devnet_account(9)
WEIGHTS = np.array([0.2, -0.3, 0.1])


def data_of(seed: int, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Samples that the tiny circuit holds: x (count, 2), y (count, 1)."""
    generator = np.random.default_rng(seed)
    return generator.uniform(-0.5, 0.5, (count, 2)), generator.uniform(-0.5, 0.5, (count, 1))


@dataclass
class RememberingProver(Closing):
    """The real prover; a proof that it has verified once it does not verify again. ``proofs`` counts."""

    inner: CpuProver = field(default_factory=CpuProver)
    proofs: int = 0
    _verdicts: dict[tuple[object, ...], bool] = field(default_factory=dict)
    name: str = "remembering"
    toolchain: str = "ezkl"
    parallel: int = 2

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        self.proofs += 1
        return self.inner.prove(folder, srs, slots)

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        key = (folder, srs, proof, tuple(instances))
        if key not in self._verdicts:
            self._verdicts[key] = self.inner.verify(folder, srs, proof, instances)
        return self._verdicts[key]


@dataclass
class FolderWorld:
    """Two finished rounds of one model with three trainers; the third is left out of the second."""

    root: Path
    project: Project
    training: Circuit
    average: Circuit
    prover: RememberingProver
    model: OfflineModel
    genesis: ModelVector
    trainers: list[ProvingTrainer]
    rounds: list[RoundFolder] = field(default_factory=list)

    def circuits(self, name: str) -> Circuit:
        return {"tiny": self.training, "tiny-average": self.average}[name]

    def check(self, path: Path, **more: Any) -> RoundReport:
        return verify_round(path, self.circuits, prover=self.prover, **more)

    def open(self, path: Path, number: int, base: ModelVector, *, min_trainers: int = 1) -> RoundFolder:
        return open_round(
            path,
            self.model,
            self.training,
            base,
            [t.registration(self.model) for t in self.trainers],
            OWNER,
            number=number,
            min_trainers=min_trainers,
        )

    def aggregator(self, folder: RoundFolder, **more: Any) -> FolderAggregator:
        return FolderAggregator(folder, self.training, self.average, OWNER, prover=self.prover, **more)

    def play(self) -> None:
        base = self.genesis
        for number in (1, 2):
            folder = self.open(self.root / f"round{number}", number, base)
            present = self.trainers[: 3 if number == 1 else 2]
            for trainer in present:
                with trainer.round(folder):
                    for batch in trainer:
                        trainer.step(batch)
                        trainer.prove()
                    trainer.submit()
            left = {} if number == 1 else {self.trainers[2].address: "nothing arrived"}
            self.aggregator(folder).finish(left)
            base = folder.model.model
            self.rounds.append(folder)

    def copy(self, to: Path, number: int = 1) -> RoundFolder:
        """A copy of a finished round, to be tampered with."""
        shutil.copytree(self.rounds[number - 1].path, to)
        return RoundFolder(to)


def shared_world(make: Callable[[], Path]) -> FolderWorld:
    """The one world of a session, whichever folder of tests asks first."""
    if not _SHARED:
        _SHARED.append(make_world(make()))
    return _SHARED[0]


_SHARED: list[FolderWorld] = []


def make_world(root: Path) -> FolderWorld:
    declared = tiny_project(root / "project")
    project = Project(declared.root, Project.find(Path(__file__)).build)
    store = CircuitStore(project)
    training, average = store.get("tiny"), store.get("tiny-average")
    genesis, prover = ModelVector.from_floats(training, WEIGHTS), RememberingProver()
    trainers = [
        ProvingTrainer(
            training,
            key=key,
            data=data_of(i),
            folder=root / f"trainer{i}",
            prover=prover,
            loss=lambda *_: 0.0,
        )
        for i, key in enumerate(PEOPLE)
    ]
    model = OfflineModel.of(training, average, genesis, OWNER.address)
    world = FolderWorld(root, project, training, average, prover, model, genesis, trainers)
    world.play()
    return world


# -- tampering -----------------------------------------------------------------------------------------


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit a JSON document in place."""
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def signed_plan(folder: RoundFolder, key: LocalAccount = OWNER, **changes: Any) -> RoundPlan:
    """The folder's plan with changes, signed again, and written."""
    plan = RoundFolder(folder.path).plan.model_copy(update=changes)
    message = plan_message(to_bytes(plan.model_id), plan.number, plan.digest)
    plan = plan.model_copy(update={"signature": sign(message, key)})
    folder.write(PLAN, plan)
    return plan


def signed_result(folder: RoundFolder, key: LocalAccount = OWNER, **changes: Any) -> RoundResult:
    """The folder's result with changes, signed again, and written."""
    result = folder.result.model_copy(update=changes)
    message = result_message(to_bytes(result.model_id), result.round, result.digest)
    result = result.model_copy(update={"signature": sign(message, key)})
    folder.write(RESULT, result)
    return result
