"""Activations that are a choice by a threshold."""

from __future__ import annotations

import torch
from torch import Tensor

from fedproof.export.decompositions.activations import elu
from fedproof.export.decompositions.registry import aten, decomposes

Number = float | int


@decomposes(aten.celu.default)
def celu(x: Tensor, alpha: Number = 1.0) -> Tensor:
    """``elu`` whose argument is divided by alpha."""
    return elu(x, alpha, 1, 1 / alpha)


@decomposes(aten.threshold.default)
def threshold(x: Tensor, limit: Number, value: Number) -> Tensor:
    """``x`` above the limit, else ``value``."""
    return torch.where(x > limit, x, value)


@decomposes(aten.softshrink.default)
def softshrink(x: Tensor, width: Number = 0.5) -> Tensor:
    """``x`` drawn towards zero by ``width``."""
    return torch.relu(x - width) - torch.relu(-x - width)


@decomposes(aten.hardshrink.default)
def hardshrink(x: Tensor, width: Number = 0.5) -> Tensor:
    """``x`` further than ``width`` from zero, else zero."""
    return torch.where(x > width, x, 0.0) + torch.where(x < -width, x, 0.0)


@decomposes(aten.softshrink_backward.default, aten.hardshrink_backward.default)
def shrink_backward(g: Tensor, x: Tensor, width: Number) -> Tensor:
    """``g`` further than ``width`` from zero, else zero."""
    return torch.where(x > width, g, 0.0) + torch.where(x < -width, g, 0.0)
