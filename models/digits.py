"""scikit-learn's digits: 1,797 real handwritten 8x8 images that ship with the library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Array = NDArray[np.float64]
CLASSES = 10
#: Side of the enlarged images.
ENLARGED = 28


def load() -> tuple[Array, Array]:
    """Images as (1797, 64) in [0, 1] in steps of 1/16, and labels one-hot as (1797, 10)."""
    data = load_digits()
    return data.data / 16.0, np.eye(CLASSES)[data.target]


def load_28() -> tuple[Array, Array]:
    """The digits enlarged: each 8x8 image drawn out to 28x28, as (1797, 784), and labels one-hot (1797, 10).

    Bilinear, pixel centres on pixel centres, rounded to steps of 1/16 as the originals have. They hold no
    more than the small images do: they are data of MNIST's size, not MNIST.
    """
    x, y = load()
    place = np.clip((np.arange(ENLARGED) + 0.5) * 8 / ENLARGED - 0.5, 0, 7)
    low = np.minimum(place.astype(int), 6)
    weights = np.zeros((ENLARGED, 8))
    weights[np.arange(ENLARGED), low] = 1 - (place - low)
    weights[np.arange(ENLARGED), low + 1] = place - low
    images = weights @ x.reshape(-1, 8, 8) @ weights.T
    return np.round(images * 16).reshape(len(x), -1) / 16, y


def split(
    trainers: int, held_out: int, seed: int, pixels: int = 64
) -> tuple[list[tuple[Array, Array]], tuple[Array, Array]]:
    """Disjoint shards for ``trainers`` trainers and a held-out test set of ``held_out`` samples.

    ``pixels`` is 64, or 784 for the digits enlarged. Returns ``([(x, y), ...], (x_test, y_test))``. The
    split depends on ``seed`` alone. Within a shard the classes take turns, so that a small batch is not all
    of one digit.
    """
    if pixels not in (64, ENLARGED**2):
        raise ValueError(f"digits have 64 pixels, or {ENLARGED**2} enlarged, not {pixels}")
    x, y = load() if pixels == 64 else load_28()
    order = np.random.default_rng(seed).permutation(len(x))
    test, rest = order[:held_out], order[held_out:]
    generator = np.random.default_rng(seed)
    shards = []
    for part in np.array_split(rest, trainers):
        taken = part[_in_turns(y[part].argmax(1), generator)]
        shards.append((x[taken], y[taken]))
    return shards, (x[test], y[test])


def _in_turns(labels: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return an order in which the classes take turns, as long as each has samples left."""
    left = [list(generator.permutation(np.flatnonzero(labels == c))) for c in range(CLASSES)]
    order = []
    while any(left):
        for c in generator.permutation(CLASSES):
            if left[c]:
                order.append(left[c].pop())
    return np.array(order)
