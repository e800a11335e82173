"""Softmax, layer, group and root-mean-square normalisation, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from fedproof.export import operators as ops
from fedproof.export.decompositions.registry import CANONICAL, aten, decomposes

Optional = Tensor | None


@decomposes(aten._softmax.default)
def softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:  # noqa: ARG001, D103
    if dim % x.dim() == x.dim() - 1:
        return ops.softmax(x)
    return ops.softmax(x.transpose(dim, -1)).transpose(dim, -1)


@decomposes(aten._safe_softmax.default)
def safe_softmax(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:  # noqa: ARG001, D103
    return softmax(x, dim, False)


@decomposes(aten._softmax_backward_data.default)
def softmax_backward(g: Tensor, s: Tensor, dim: int, dtype: torch.dtype) -> Tensor:  # noqa: ARG001
    """``s (g - sum g s)``."""
    return s * (g - (g * s).sum(dim, keepdim=True))


@decomposes(aten._log_softmax.default)
def log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:  # noqa: ARG001, D103
    if dim % x.dim() == x.dim() - 1:
        return ops.log_softmax(x)
    return ops.log_softmax(x.transpose(dim, -1)).transpose(dim, -1)


@decomposes(aten._log_softmax_backward_data.default)
def log_softmax_backward(g: Tensor, y: Tensor, dim: int, dtype: torch.dtype) -> Tensor:  # noqa: ARG001
    """``g - softmax sum g``; the emitter knows exp(log_softmax) as softmax."""
    return g - ops.table(y, "exp") * g.sum(dim, keepdim=True)


@decomposes(aten.logsumexp.default)
def log_sum_exp(x: Tensor, dim: Sequence[int], keepdim: bool = False) -> Tensor:  # noqa: D103
    if len(dim) != 1:
        return CANONICAL
    axis = dim[0] % x.dim()
    if axis == x.dim() - 1:
        kept = ops.log_sum_exp(x)
    else:
        kept = ops.log_sum_exp(x.transpose(axis, -1)).transpose(axis, -1)
    return kept if keepdim else kept.squeeze(axis)


def normalised(x: Tensor, eps: float, centred: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise (rows, n) over its rows: the result, the mean and the reciprocal deviation (rows, 1)."""
    mean = x.mean(-1, keepdim=True)
    c = x - mean if centred else x
    r = ops.rsqrt((c * c).mean(-1, keepdim=True) + eps)
    return c * r, mean, r


def normalised_backward(g: Tensor, xhat: Tensor, r: Tensor, centred: bool = True) -> Tensor:
    """Gradient of :func:`normalised`: ``r (g - mean g - xhat mean(g xhat))``."""
    inner = g - xhat * (g * xhat).mean(-1, keepdim=True)
    return r * (inner - g.mean(-1, keepdim=True) if centred else inner)


def scaled(y: Tensor, weight: Optional, bias: Optional) -> Tensor:
    """``y weight + bias``, where they are there."""
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@decomposes(aten.native_layer_norm.default)
def layer_norm(
    x: Tensor, shape: Sequence[int], weight: Optional, bias: Optional, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Over the last ``len(shape)`` axes; also the mean and reciprocal deviation, (..., 1, ...)."""
    lead = x.shape[: x.dim() - len(shape)]
    y, mean, r = normalised(x.reshape(*lead, prod(shape)), eps)
    saved = (*lead, *(1 for _ in shape))
    return scaled(y.reshape(x.shape), weight, bias), mean.reshape(saved), r.reshape(saved)


@decomposes(aten.native_layer_norm_backward.default)
def layer_norm_backward(
    g: Tensor,
    x: Tensor,
    shape: Sequence[int],
    mean: Tensor,
    r: Tensor,
    weight: Optional,
    bias: Optional,
    mask: Sequence[bool],
) -> tuple[Optional, Optional, Optional]:
    """Gradients of argument, weight and bias."""
    lead = x.shape[: x.dim() - len(shape)]
    flat = (*lead, prod(shape))
    outer = tuple(range(len(lead)))
    one = (*lead, 1)
    xhat = (x.reshape(flat) - mean.reshape(one)) * r.reshape(one)
    own = (g if weight is None else g * weight).reshape(flat)
    gx = normalised_backward(own, xhat, r.reshape(one)) if mask[0] else None
    whole = g * xhat.reshape(x.shape)
    gw = (whole.sum(outer) if outer else whole) if mask[1] and weight is not None else None
    gb = (g.sum(outer) if outer else g) if mask[2] and bias is not None else None
    return gx if gx is None else gx.reshape(x.shape), gw, gb


@decomposes(aten._fused_rms_norm.default)
def rms_norm(x: Tensor, shape: Sequence[int], weight: Optional, eps: float | None) -> tuple[Tensor, Tensor]:
    """Over the last ``len(shape)`` axes, without a mean; also the reciprocal deviation."""
    lead = x.shape[: x.dim() - len(shape)]
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    y, _, r = normalised(x.reshape(*lead, prod(shape)), eps, centred=False)
    return scaled(y.reshape(x.shape), weight, None), r.reshape(*lead, *(1 for _ in shape))


@decomposes(aten._fused_rms_norm_backward.default)
def rms_norm_backward(
    g: Tensor, x: Tensor, shape: Sequence[int], r: Tensor, weight: Optional, mask: Sequence[bool]
) -> tuple[Optional, Optional]:
    """Gradients of argument and weight."""
    lead = x.shape[: x.dim() - len(shape)]
    flat, one = (*lead, prod(shape)), (*lead, 1)
    xhat = x.reshape(flat) * r.reshape(one)
    own = (g if weight is None else g * weight).reshape(flat)
    gx = normalised_backward(own, xhat, r.reshape(one), centred=False).reshape(x.shape) if mask[0] else None
    gw = (g * xhat.reshape(x.shape)).sum(tuple(range(len(lead)))) if mask[1] and weight is not None else None
    return gx, gw


def per_channel(v: Tensor, x: Tensor) -> Tensor:
    """A vector (C,) so that it broadcasts with ``x`` (N, C, ...)."""
    return v.reshape(1, -1, *(1 for _ in x.shape[2:]))


@decomposes(aten.native_group_norm.default)
def group_norm(
    x: Tensor, weight: Optional, bias: Optional, n: int, c: int, size: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Over groups of channels of ``x`` (n, c, ...); also mean and reciprocal deviation (n, groups)."""
    y, mean, r = normalised(x.reshape(n, groups, c // groups * size), eps)
    weight = None if weight is None else per_channel(weight, x)
    bias = None if bias is None else per_channel(bias, x)
    return scaled(y.reshape(x.shape), weight, bias), mean.reshape(n, groups), r.reshape(n, groups)


@decomposes(aten.native_group_norm_backward.default)
def group_norm_backward(
    g: Tensor,
    x: Tensor,
    mean: Tensor,
    r: Tensor,
    weight: Optional,
    n: int,
    c: int,
    size: int,
    groups: int,
    mask: Sequence[bool],
) -> tuple[Optional, Optional, Optional]:
    """Gradients of argument, weight and bias."""
    flat, one = (n, groups, c // groups * size), (n, groups, 1)
    xhat = (x.reshape(flat) - mean.reshape(one)) * r.reshape(one)
    own = (g if weight is None else g * per_channel(weight, x)).reshape(flat)
    gx = normalised_backward(own, xhat, r.reshape(one)).reshape(x.shape) if mask[0] else None
    outer = (0, *range(2, x.dim()))
    return gx, (g * xhat.reshape(x.shape)).sum(outer) if mask[1] else None, g.sum(outer) if mask[2] else None


@decomposes(aten.var.correction)
def variance(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """Sum of squares about the mean over ``n - correction``."""
    axes = [d % x.dim() for d in dim] if dim else list(range(x.dim()))
    count = prod(x.shape[a] for a in axes)
    c = x - x.mean(axes, keepdim=True)
    return (c * c).sum(axes, keepdim=keepdim) / (count - (1 if correction is None else correction))


@decomposes(aten.std.correction)
def deviation(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """Square root of :func:`variance`."""
    return ops.table(variance(x, dim, correction=correction, keepdim=keepdim), "sqrt")


@decomposes(aten.var_mean.correction)
def variance_and_mean(
    x: Tensor, dim: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """:func:`variance` and the mean."""
    axes = list(dim) if dim else list(range(x.dim()))
    return variance(x, dim, correction=correction, keepdim=keepdim), x.mean(axes, keepdim=keepdim)
