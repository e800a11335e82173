"""The Lightning example's callback: the weights are those of the exact steps, and nothing else moves them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from test_proving_trainer import KEY, MODEL_ID, Maker, Slow
from tiny_circuits import PARAMETERS, sample_data

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.rounds import ModelVector, Trainer

pl = pytest.importorskip("pytorch_lightning")
pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore"),  # Lightning warns about workers and missing loggers
]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "lightning" / "proven.py"


@pytest.fixture(scope="module")
def proven() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lightning_example_proven", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Tiny(pl.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, meddles: bool = False, automatic: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = automatic
        self.meddles = meddles
        self.output = torch.nn.Linear(3, 2)
        self.seen: list[np.ndarray] = []

    def training_step(self, batch: Any, _index: int) -> None:
        flat = torch.nn.utils.parameters_to_vector(self.parameters()).detach()
        self.seen.append(flat.double().numpy().copy())
        if self.meddles:
            with torch.no_grad():
                self.output.bias += 0.25

    def configure_optimizers(self) -> None:
        pass


@pytest.fixture
def start(training: Circuit) -> ModelVector:
    return ModelVector.from_floats(training, np.linspace(-0.5, 0.5, PARAMETERS))


@pytest.fixture
def make(training: Circuit, tmp_path: Path) -> Maker:
    prover = Slow(training)
    prover.gate.set()
    return Maker(training, prover, tmp_path / "trainer")


def fit(module: Tiny, callback: Any) -> None:
    x, y = (torch.from_numpy(part) for part in sample_data(8))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=2)
    pl.Trainer(
        max_epochs=1, limit_train_batches=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[callback],
    ).fit(module, loader)  # fmt: skip


def test_the_weights_come_from_the_exact_integers_after_each_step(
    proven: ModuleType, make: Maker, start: ModelVector
) -> None:
    trainer, module, plain = make(loss=lambda *_: 0.0), Tiny(), Trainer(make.circuit, start)
    expected = [start.floats]
    with trainer.round(1, start, model_id=MODEL_ID) as work:
        callback = proven.ProvenSteps(trainer)
        fit(module, callback)
        for batch in trainer.dataset.batches[:2]:
            plain.step(batch)
            expected.append(plain.model.floats)
        assert work.batches == [0, 1]
        assert len(work.proofs()) == 2
    found = [*module.seen, torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()]
    assert len(found) == len(expected) == 3
    for ours, exact in zip(found, expected, strict=True):
        assert np.array_equal(ours, exact.astype(np.float32))
    assert [step.batch for step in callback.taken] == [0, 1]


def test_an_optimiser_of_lightnings_own_is_refused(
    proven: ModuleType, make: Maker, start: ModelVector
) -> None:
    trainer = make()
    with (
        trainer.round(1, start, model_id=MODEL_ID),
        pytest.raises(CallerError, match="which nothing proves"),
    ):
        fit(Tiny(automatic=True), proven.ProvenSteps(trainer))


def test_weights_that_something_else_moved_are_refused(
    proven: ModuleType, make: Maker, start: ModelVector
) -> None:
    trainer = make()
    with (
        trainer.round(1, start, model_id=MODEL_ID),
        pytest.raises(CallerError, match="after the steps that are proven it is"),
    ):
        fit(Tiny(meddles=True), proven.ProvenSteps(trainer))
    assert trainer.address == KEY.address
