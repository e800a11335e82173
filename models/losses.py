"""Losses: mean over the batch, so that a power-of-two batch divides exactly.

Prediction and target are (B, O). Each is written so that its gradient needs no more than it must:
:func:`cross_entropy` and :func:`binary_cross_entropy` come to softmax or sigmoid minus target.
"""

import torch
from torch import Tensor
from torch.nn import functional


def squared(prediction: Tensor, target: Tensor) -> Tensor:
    """Half the squared error, summed over outputs, averaged over the batch. Both (B, O); scalar out.

    Its gradient with respect to the prediction is (prediction - target) / B: no constant to round.
    """
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]


def absolute(prediction: Tensor, target: Tensor) -> Tensor:
    """The absolute error, summed over outputs, averaged over the batch. Gradient: the sign, over B."""
    return (prediction - target).abs().sum() / prediction.shape[0]


def huber(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared within one, absolute beyond, summed and averaged alike. Gradient: the clipped error, over B."""
    return functional.huber_loss(prediction, target, reduction="sum") / prediction.shape[0]


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy from logits, targets (B, C) that sum to one. Gradient: (softmax - target) / B."""
    likelihood = (prediction * target).sum(-1)
    return (torch.logsumexp(prediction, -1) - likelihood).sum() / prediction.shape[0]


def binary_cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy from logits, summed over outputs. Gradient: (sigmoid - target) / B."""
    return (functional.softplus(prediction) - prediction * target).sum() / prediction.shape[0]


def hinge(prediction: Tensor, target: Tensor) -> Tensor:
    """One against the rest with margin one, targets one-hot: max(0, 1 - s z), s 1 at the class, else -1."""
    side = 2 * target - 1
    return torch.relu(1 - side * prediction).sum() / prediction.shape[0]
