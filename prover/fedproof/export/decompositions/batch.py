"""Batch normalisation with frozen statistics, and instance normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fedproof.errors import CallerError
from fedproof.export.decompositions.normalisation import (
    Optional,
    normalised,
    normalised_backward,
    per_channel,
    scaled,
)
from fedproof.export.decompositions.registry import aten, decomposes

FROZEN = "running statistics are no part of the model: freeze them with .eval() on the BatchNorm layer"


def _frozen(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Both buffers are constants: one product, one sum."""
    r = torch.rsqrt(variance + eps)
    return x * per_channel(r, x) - per_channel(mean * r, x), r


def _rows(x: Tensor) -> Tensor:
    """(N, C, ...) as (C, rest): what a channel's own statistics are taken over."""
    return x.transpose(0, 1).reshape(x.shape[1], -1)


def _back(rows: Tensor, like: Tensor) -> Tensor:
    return rows.reshape(like.shape[1], like.shape[0], *like.shape[2:]).transpose(0, 1)


def _scaled(y: Tensor, weight: Optional, bias: Optional) -> Tensor:
    weight = None if weight is None else per_channel(weight, y)
    return scaled(y, weight, None if bias is None else per_channel(bias, y))


@decomposes(aten._native_batch_norm_legit_no_training.default)
def batch_norm(
    x: Tensor, weight: Optional, bias: Optional, mean: Tensor, variance: Tensor, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``(x - mean) / sqrt(variance + eps)`` with constant statistics, then weight and bias per channel."""
    del momentum
    return _scaled(_frozen(x, mean, variance, eps)[0], weight, bias), x.new_zeros(0), x.new_zeros(0)


@decomposes(aten.native_batch_norm.default, aten._native_batch_norm_legit_functional.default)
def batch_norm_checked(
    x: Tensor,
    weight: Optional,
    bias: Optional,
    mean: Optional,
    variance: Optional,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`batch_norm`, or without running statistics over the batch itself.

    Raises :class:`CallerError` where running statistics would have to be updated.
    """
    if mean is None or variance is None:
        return own_statistics(x, weight, bias, training, momentum, eps)
    if training:
        raise CallerError("batch normalisation in training mode", hint=FROZEN)
    return batch_norm(x, weight, bias, mean, variance, momentum, eps)


@decomposes(aten._native_batch_norm_legit.no_stats)
def own_statistics(
    x: Tensor, weight: Optional, bias: Optional, training: bool, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Each channel normalised over all its elements in the batch; instance normalisation comes as this."""
    del training, momentum
    y, mean, r = normalised(_rows(x), eps)
    return _scaled(_back(y, x), weight, bias), mean.reshape(-1), r.reshape(-1)


@decomposes(aten.native_batch_norm_backward.default)
def batch_norm_backward(
    g: Tensor,
    x: Tensor,
    weight: Optional,
    mean: Optional,
    variance: Optional,
    save_mean: Optional,
    save_r: Optional,
    training: bool,
    eps: float,
    mask: Sequence[bool],
) -> tuple[Optional, Optional, Optional]:
    """Gradients of argument, weight and bias."""
    own = g if weight is None else g * per_channel(weight, x)
    if not training and mean is not None and variance is not None:
        xhat, r = _frozen(x, mean, variance, eps)
        gx = own * per_channel(r, x)
    else:
        if save_mean is None or save_r is None:
            raise CallerError("batch normalisation without its statistics", hint=FROZEN)
        r = save_r.reshape(-1, 1)
        rows = (_rows(x) - save_mean.reshape(-1, 1)) * r
        xhat, gx = _back(rows, x), _back(normalised_backward(_rows(own), rows, r), x)
    outer = (0, *range(2, x.dim()))
    return (
        gx if mask[0] else None,
        (g * xhat).sum(outer) if mask[1] else None,
        g.sum(outer) if mask[2] else None,
    )
