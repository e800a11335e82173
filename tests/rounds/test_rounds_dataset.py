"""A trainer's data: batches, salts, commitments, the tree, and the file."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_circuits import sample_data

from fedproof.chain.digests import batch_leaf
from fedproof.chain.merkle import is_on_path
from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError, TerminalError
from fedproof.rounds import Batch, Dataset

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(("samples", "batches"), [(2, 1), (3, 1), (4, 2), (7, 3)])
def test_what_does_not_fill_a_batch_is_left_over(training: Circuit, samples: int, batches: int) -> None:
    x, y = sample_data(samples)
    dataset = Dataset.from_floats(training, x, y)
    assert len(dataset) == batches
    for i, batch in enumerate(dataset.batches):
        assert np.abs(batch.x / 16 - x[2 * i : 2 * i + 2]).max() <= 1 / 32
        assert np.abs(batch.y / 8 - y[2 * i : 2 * i + 2]).max() <= 1 / 16


@pytest.mark.parametrize("samples", [0, 1])
def test_too_few_samples_for_one_batch(training: Circuit, samples: int) -> None:
    with pytest.raises(CallerError, match=f"{samples} samples do not fill a batch of 2"):
        Dataset.from_floats(training, *sample_data(samples))


def test_x_and_y_of_different_lengths(training: Circuit) -> None:
    x, y = sample_data(4)
    with pytest.raises(CallerError, match="x has 4 samples, y has 3"):
        Dataset.from_floats(training, x, y[:3])


def test_no_batches_are_no_dataset(training: Circuit) -> None:
    with pytest.raises(CallerError, match="at least one"):
        Dataset(training, [])


@pytest.mark.parametrize(("name", "limit"), [("x", "[-8, 8)"), ("y", "[-16, 16)")])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1e9, 16.0])
def test_a_value_out_of_range_is_named(training: Circuit, name: str, limit: str, value: float) -> None:
    x, y = sample_data(2)
    (x if name == "x" else y)[1, 1] = value
    with pytest.raises(CallerError) as caught:
        Batch.from_floats(training, x, y)
    assert f"{name}: element (1, 1)" in str(caught.value)
    assert limit in str(caught.value)


def test_what_rounds_up_to_the_limit_is_the_largest_value(training: Circuit) -> None:
    x, y = sample_data(2)
    x[0, 0] = np.nextafter(8.0, 0)
    x[0, 1] = -8.0
    batch = Batch.from_floats(training, x, y)
    assert batch.x[0, :2].tolist() == [127, -128]


@pytest.mark.parametrize(("x", "y"), [((3, 3), (2, 2)), ((2, 3), (2, 3)), ((2, 4), (2, 2)), ((6,), (2, 2))])
def test_a_batch_of_another_shape(training: Circuit, x: tuple[int, ...], y: tuple[int, ...]) -> None:
    with pytest.raises(CallerError, match="has shape"):
        Batch.from_floats(training, np.zeros(x), np.zeros(y))


def test_equal_batches_have_different_commitments(training: Circuit) -> None:
    x, y = (np.repeat(v, 2, axis=0) for v in (np.zeros((2, 3)), np.zeros((2, 2))))
    first, second = Dataset.from_floats(training, x, y).commitments
    assert first != second


def test_every_batch_is_on_a_path_to_the_root(training: Circuit) -> None:
    dataset = Dataset.from_floats(training, *sample_data(10))
    for i, batch in enumerate(dataset.batches):
        commitment = training.committer.pure(batch.vector)
        assert dataset.commitments[i] == commitment
        assert is_on_path(dataset.tree.root, batch_leaf(commitment), dataset.path(i))
        assert not is_on_path(dataset.tree.root, batch_leaf(commitment), dataset.path(i - 1))


@pytest.fixture
def saved(training: Circuit, tmp_path: Path) -> tuple[Dataset, Path]:
    dataset = Dataset.from_floats(training, *sample_data(6))
    dataset.save(tmp_path / "dataset.json")
    return dataset, tmp_path / "dataset.json"


def test_a_file_gives_back_the_same_root(training: Circuit, saved: tuple[Dataset, Path]) -> None:
    dataset, path = saved
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Dataset.load(training, path)
    assert again.tree.root == dataset.tree.root
    assert [b.vector for b in again.batches] == [b.vector for b in dataset.batches]


def _set(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda kept: kept.__setitem__(key, value)


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another build": (_set("circuit", "other"), "build other"),
    "no batches": (_set("batches", []), "at least one"),
    "not batches": (_set("batches", 5), "not a dataset file"),
    "no commitments": (lambda kept: kept.pop("commitments"), "not a dataset file"),
    "a changed pixel": (lambda kept: kept["batches"][1]["x"][0].__setitem__(0, 99), "do not match"),
    "a changed salt": (lambda kept: kept["batches"][0]["salt"].__setitem__(0, "0x1"), "do not match"),
    "a salt that is none": (
        lambda kept: kept["batches"][0]["salt"].__setitem__(0, "salt"),
        "not a dataset file",
    ),
    "a missing row": (lambda kept: kept["batches"][0]["x"].pop(), "not a dataset file"),
    "a swap": (lambda kept: kept["batches"].reverse(), "do not match"),
    "beyond int64": (lambda kept: kept["batches"][0]["x"][0].__setitem__(0, 2**70), "not a dataset file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(training: Circuit, saved: tuple[Dataset, Path], damage: str) -> None:
    change, words = DAMAGE[damage]
    kept = json.loads(saved[1].read_text())
    change(kept)
    saved[1].write_text(json.dumps(kept))
    with pytest.raises(CallerError, match=words):
        Dataset.load(training, saved[1])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
def test_a_file_of_something_else(training: Circuit, tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(CallerError, match="not a dataset file"):
        Dataset.load(training, tmp_path / "x")
    with pytest.raises(CallerError, match="no dataset file"):
        Dataset.load(training, tmp_path / "missing")


def test_a_folder_that_cannot_be_written(training: Circuit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TerminalError, match="cannot write"):
        Dataset.from_floats(training, *sample_data(2)).save(tmp_path / "file" / "dataset.json")
