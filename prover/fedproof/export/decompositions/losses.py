"""Gradients of torch's own losses: what their C++ kernels compute, in canonical operators."""

from __future__ import annotations

import torch
from torch import Tensor

from fedproof.errors import CallerError
from fedproof.export import operators as ops
from fedproof.export.decompositions.registry import aten, decomposes

_MEAN, _SUM = 1, 2


def _reduced(loss: Tensor, reduction: int) -> Tensor:
    return loss.mean() if reduction == _MEAN else loss.sum() if reduction == _SUM else loss


def _spread(g: Tensor, like: Tensor, reduction: int) -> Tensor:
    return g / like.numel() if reduction == _MEAN else g


@decomposes(aten.mse_loss.default)
def mse(x: Tensor, y: Tensor, reduction: int = _MEAN) -> Tensor:  # noqa: D103
    return _reduced((x - y) * (x - y), reduction)


@decomposes(aten.mse_loss_backward.default)
def mse_backward(g: Tensor, x: Tensor, y: Tensor, reduction: int) -> Tensor:  # noqa: D103
    return (x - y) * (_spread(g, x, reduction) * 2)


@decomposes(aten.huber_loss.default)
def huber(x: Tensor, y: Tensor, reduction: int = _MEAN, delta: float = 1.0) -> Tensor:
    """``c (d - c / 2)`` with d the difference and c = clamp(d, -delta, delta)."""
    d = x - y
    c = d.clamp(-delta, delta)
    return _reduced(c * (d - c * 0.5), reduction)


@decomposes(aten.huber_loss_backward.default)
def huber_backward(g: Tensor, x: Tensor, y: Tensor, reduction: int, delta: float) -> Tensor:
    """The clipped difference."""
    return (x - y).clamp(-delta, delta) * _spread(g, x, reduction)


@decomposes(aten.smooth_l1_loss.default)
def smooth_l1(x: Tensor, y: Tensor, reduction: int = _MEAN, beta: float = 1.0) -> Tensor:
    """Huber's loss over its beta."""
    return huber(x, y, reduction, beta) / beta


@decomposes(aten.smooth_l1_loss_backward.default)
def smooth_l1_backward(g: Tensor, x: Tensor, y: Tensor, reduction: int, beta: float) -> Tensor:
    """The clipped difference over beta."""
    return (x - y).clamp(-beta, beta) * (_spread(g, x, reduction) / beta)


def _plain_nll(weight: Tensor | None, target: Tensor) -> None:
    if weight is not None or target.dim() != 1:
        raise CallerError(
            "negative log-likelihood with class weights, or with more than one target a sample",
            hint="use one class a sample, or one-hot targets and models/losses.py:cross_entropy",
        )


@decomposes(aten.nll_loss_forward.default)
def nll(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore: int
) -> tuple[Tensor, Tensor]:
    """Minus the log-probability (B, C) of the target's class (B,)."""
    del ignore
    _plain_nll(weight, target)
    picked = -(x * ops.one_hot(target, x.shape[1])).sum(-1)
    return _reduced(picked, reduction), torch.full((), float(x.shape[0]))


@decomposes(aten.nll_loss_backward.default)
def nll_backward(
    g: Tensor,
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore: int,
    total: Tensor,
) -> Tensor:
    """Minus one over the batch at the target's class."""
    del ignore, total
    _plain_nll(weight, target)
    each = g.reshape(-1, 1) / (x.shape[0] if reduction == _MEAN else 1)
    return ops.one_hot(target, x.shape[1]) * -each
