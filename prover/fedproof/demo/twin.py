"""The same training in floating point, run beside the exact one: same batches, same averaging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fedproof.export import TrainingStep

Array = NDArray[np.float64]


class FloatTwin:
    """Federated SGD in float64. ``theta`` (D,) starts from the quantised model, so that both start equal."""

    def __init__(self, step: TrainingStep, theta: Array) -> None:
        self.step = step
        self.step.module.double()
        self.theta = torch.from_numpy(theta.copy())

    def round(self, batches: Sequence[Sequence[tuple[Array, Array]]], weights: Sequence[float]) -> None:
        """One round: ``batches[i]`` are those of trainer i, ``weights`` its shares of the average."""
        updates = []
        for own in batches:
            theta = self.theta
            for x, y in own:
                theta = theta - self.step(theta, torch.from_numpy(x), torch.from_numpy(y))
            updates.append(theta - self.theta)
        self.theta = self.theta + sum(w * u for w, u in zip(weights, updates, strict=True))


class Standing(NamedTuple):
    """How a model does on samples: the share of right answers, and the loss it is trained on."""

    accuracy: float
    loss: float


def standing(step: TrainingStep, theta: Array, x: Array, y: Array) -> Standing:
    """On samples (n, ...) and one-hot labels ``y`` (n, classes), the largest score to be at the label."""
    labels = torch.from_numpy(y)
    with torch.no_grad():
        scores = torch.func.functional_call(
            step.module.double(),
            step.unflatten(torch.from_numpy(theta.copy())),
            (torch.from_numpy(x),),
        )
        loss = float(step.loss(scores, labels))
    return Standing(float((scores.argmax(1) == labels.argmax(1)).double().mean()), loss)
