"""Which models a run measures, and on what data."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.circuits.run import zoo
from benchmarks.workloads import exact_error, training_work

from fedproof.circuits import TrainingSpec, load_spec
from fedproof.circuits.program import build_program, float_graph
from fedproof.errors import CallerError
from fedproof.project import Project

pytestmark = pytest.mark.reference

PROJECT = Project.find()


def test_models_are_named_with_or_without_their_data() -> None:
    every = zoo(PROJECT, [])
    assert {"digits-linear", "digits-mlp"} <= set(every)
    assert not [n for n in every if n.endswith("-average")]
    assert zoo(PROJECT, ["mlp", "digits-linear"]) == ["digits-linear", "digits-mlp"]


def test_a_name_that_no_model_has_is_refused() -> None:
    with pytest.raises(CallerError, match="nothing"):
        zoo(PROJECT, ["mlp", "nothing"])


@pytest.mark.parametrize("name", ["digits-linear", "digits-mlp-wide"])
def test_a_batch_has_the_declared_shape(name: str) -> None:
    spec = load_spec(name, PROJECT.circuits)
    assert isinstance(spec, TrainingSpec)
    work = training_work(spec, PROJECT)
    assert work.x.shape == (spec.batch, *spec.sample)
    assert work.y.shape == (spec.batch, *spec.target)
    assert (work.y.sum(-1) == 1).all()
    assert work.step.shape == work.theta.shape
    assert np.abs(work.step).max() > 0


def test_the_error_of_our_integers_is_small_and_not_zero() -> None:
    spec = load_spec("digits-linear", PROJECT.circuits)
    assert isinstance(spec, TrainingSpec)
    work = training_work(spec, PROJECT)
    program = build_program(spec, PROJECT.circuits, float_graph(spec, PROJECT.root))
    assert 0 < exact_error(spec, program, work) < 0.05 * np.abs(work.step).max()
