"""From the data of a training loop to a dataset of fixed, salted batches."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.rounds.dataset import Batch, Dataset
from fedproof.rounds.vectors import Floats, training_spec

#: ``(x, y)`` or ``(x, y, masks)`` over all samples, an iterable of such batches, or a dataset.
Data = Dataset | tuple[Floats, Floats] | tuple[Floats, Floats, Floats] | Iterable[tuple[Floats, ...]]


def dataset_of(circuit: Circuit, data: Data | None, path: Path) -> Dataset:
    """Return the dataset kept at ``path``, or make it of ``data`` and keep it there.

    A dataset is kept because its salts are: the same data under new salts would have another root. Raises
    :class:`CallerError` if ``data`` are others than those kept, or there are neither.
    """
    if data is None:
        return Dataset.load(circuit, path)
    given = data if isinstance(data, Dataset) else Dataset(circuit, _batches(circuit, data))
    if not path.exists():
        given.save(path)
        return given
    kept = Dataset.load(circuit, path)
    for i, (ours, theirs) in enumerate(zip_longest(kept.batches, given.batches)):
        if ours is None or theirs is None or content(ours) != content(theirs):
            raise CallerError(
                f"{path} holds other data than were given, from batch {i} on",
                hint="other data are another dataset: use another folder, and register its root",
            )
    return kept


def content(batch: Batch) -> bytes:
    """What a batch holds, without its salt."""
    parts = [batch.x, batch.y] + ([] if batch.mask is None else [batch.mask])
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)


def _batches(circuit: Circuit, data: Any) -> list[Batch]:  # noqa: ANN401 - the kinds of Data, told apart here
    if isinstance(data, tuple) and len(data) in (2, 3):
        return Dataset.from_floats(circuit, *(np.asarray(part) for part in data)).batches
    size = training_spec(circuit).batch
    found = []
    for batch in data:
        x, y, *mask = (np.asarray(part) for part in batch)
        # The last batch of a loader may be short; a circuit takes full ones.
        if len(x) == size:
            found.append(Batch.from_floats(circuit, x, y, *mask))
    return found
