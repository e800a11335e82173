"""Activations and their gradients: tables of one variable, rectifiers, clips and masks."""

from __future__ import annotations

import torch
from torch import Tensor

from fedproof.export import operators as ops
from fedproof.export.decompositions.registry import CANONICAL, aten, decomposes

Number = float | int


@decomposes(aten.sigmoid.default)
def sigmoid(x: Tensor) -> Tensor:  # noqa: D103
    return ops.table(x, "sigmoid")


@decomposes(aten.sigmoid_backward.default)
def sigmoid_backward(g: Tensor, s: Tensor) -> Tensor:
    """``g s (1 - s)``, from the forward value."""
    return g * (s - s * s)


@decomposes(aten.tanh.default)
def tanh(x: Tensor) -> Tensor:  # noqa: D103
    return ops.table(x, "tanh")


@decomposes(aten.tanh_backward.default)
def tanh_backward(g: Tensor, t: Tensor) -> Tensor:
    """``g (1 - t^2)``, from the forward value."""
    return g * (1 - t * t)


@decomposes(aten.gelu.default)
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:  # noqa: D103
    return ops.table(x, "gelu" if approximate == "none" else "gelu_tanh")


@decomposes(aten.gelu_backward.default)
def gelu_backward(g: Tensor, x: Tensor, *, approximate: str = "none") -> Tensor:  # noqa: D103
    return g * ops.table(x, "gelu_grad" if approximate == "none" else "gelu_tanh_grad")


@decomposes(aten.silu.default)
def silu(x: Tensor) -> Tensor:  # noqa: D103
    return ops.table(x, "silu")


@decomposes(aten.silu_backward.default)
def silu_backward(g: Tensor, x: Tensor) -> Tensor:  # noqa: D103
    return g * ops.table(x, "silu_grad")


@decomposes(aten.mish.default)
def mish(x: Tensor) -> Tensor:  # noqa: D103
    return ops.table(x, "mish")


@decomposes(aten.mish_backward.default)
def mish_backward(g: Tensor, x: Tensor) -> Tensor:  # noqa: D103
    return g * ops.table(x, "mish_grad")


@decomposes(aten.softplus.default)
def softplus(x: Tensor, beta: Number = 1, threshold: Number = 20) -> Tensor:  # noqa: ARG001, D103
    # Beyond the threshold torch answers x: the same float.
    return ops.table(x, "softplus") if beta == 1 else ops.table(x * beta, "softplus") / beta


@decomposes(aten.softplus_backward.default)
def softplus_backward(g: Tensor, x: Tensor, beta: Number, threshold: Number) -> Tensor:  # noqa: ARG001, D103
    return g * ops.table(x if beta == 1 else x * beta, "sigmoid")


@decomposes(aten.log_sigmoid_forward.default)
def log_sigmoid(x: Tensor) -> tuple[Tensor, Tensor]:
    """``-softplus(-x)``; the second value is a buffer that only torch's own gradient needs."""
    return -ops.table(-x, "softplus"), x


@decomposes(aten.log_sigmoid_backward.default)
def log_sigmoid_backward(g: Tensor, x: Tensor, buffer: Tensor) -> Tensor:  # noqa: ARG001, D103
    return g * (1 - ops.table(x, "sigmoid"))


@decomposes(aten.elu.default)
def elu(x: Tensor, alpha: Number = 1, scale: Number = 1, input_scale: Number = 1) -> Tensor:
    """``scale x`` above zero, else ``scale alpha (exp(input_scale x) - 1)``."""
    if alpha == scale == input_scale == 1:
        return ops.table(x, "elu")
    above = torch.relu(x)
    return scale * above + scale * alpha * ops.table((x - above) * input_scale, "elu")


@decomposes(aten.elu_backward.default)
def elu_backward(
    g: Tensor, alpha: Number, scale: Number, input_scale: Number, is_result: bool, x: Tensor
) -> Tensor:
    """The gradient, from the argument, or from the result where the layer works in place."""
    if is_result:
        # y = scale alpha (exp(input_scale x) - 1) at and below zero.
        below = input_scale * (x + scale * alpha)
    else:
        below = scale * alpha * input_scale * ops.table(x * input_scale, "elu_grad")
    return torch.where(x > 0, g * scale, g * below)


@decomposes(aten.relu6.default)
def relu6(x: Tensor) -> Tensor:  # noqa: D103
    return x.clamp(0, 6)


@decomposes(aten.hardtanh.default)
def hardtanh(x: Tensor, low: Number = -1, high: Number = 1) -> Tensor:  # noqa: D103
    return x.clamp(low, high)


@decomposes(aten.hardtanh_backward.default)
def hardtanh_backward(g: Tensor, x: Tensor, low: Number, high: Number) -> Tensor:
    """``g`` strictly inside, else zero."""
    return torch.where(x > low, torch.where(x < high, g, 0.0), 0.0)


@decomposes(aten.hardsigmoid.default)
def hardsigmoid(x: Tensor) -> Tensor:
    """``clamp(x + 3, 0, 6) / 6``."""
    return (x + 3).clamp(0, 6) / 6


@decomposes(aten.hardsigmoid_backward.default)
def hardsigmoid_backward(g: Tensor, x: Tensor) -> Tensor:  # noqa: D103
    return torch.where(x > -3, torch.where(x < 3, g / 6, 0.0), 0.0)


@decomposes(aten.hardswish.default)
def hardswish(x: Tensor) -> Tensor:
    """``x clamp(x + 3, 0, 6) / 6``."""
    return x * (x + 3).clamp(0, 6) / 6


@decomposes(aten.hardswish_backward.default)
def hardswish_backward(g: Tensor, x: Tensor) -> Tensor:
    """``g`` above 3, zero below -3, else ``g (2x + 3) / 6``."""
    return torch.where(x > -3, torch.where(x < 3, g * (x / 3 + 0.5), g), 0.0)


@decomposes(aten.leaky_relu.default)
def leaky_relu(x: Tensor, slope: Number = 0.01) -> Tensor:
    """``slope x + (1 - slope) max(x, 0)``: one rectifier, no choice."""
    return x * slope + torch.relu(x) * (1 - slope)


@decomposes(aten.leaky_relu_backward.default)
def leaky_relu_backward(g: Tensor, x: Tensor, slope: Number, is_result: bool) -> Tensor:  # noqa: ARG001, D103
    return g * slope + torch.where(x > 0, g, 0.0) * (1 - slope)


@decomposes(aten._prelu_kernel.default)
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """``max(x, 0) + slope min(x, 0)``, the slope a parameter."""
    above = torch.relu(x)
    return above + slope * (x - above)


@decomposes(aten._prelu_kernel_backward.default)
def prelu_backward(g: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the argument and of the slope."""
    above = torch.where(x > 0, g, 0.0)
    return above + slope * (g - above), g * (x - torch.relu(x))


@decomposes(aten.threshold_backward.default)
def threshold_backward(g: Tensor, x: Tensor, threshold: Number) -> Tensor:  # noqa: D103
    return torch.where(x > threshold, g, 0.0)


@decomposes(aten.clamp_min.default)
def clamp_min(x: Tensor, low: Number) -> Tensor:  # noqa: D103
    return torch.relu(x) if low == 0 else torch.relu(x - low) + low


@decomposes(aten.clamp_max.default)
def clamp_max(x: Tensor, high: Number) -> Tensor:  # noqa: D103
    return high - torch.relu(high - x)


@decomposes(aten.clamp.default)
def clamp(x: Tensor, low: Number | None = None, high: Number | None = None) -> Tensor:
    """A clip on both sides is one node; on one side it is a rectifier."""
    if low is not None and high is not None:
        return CANONICAL
    if low is not None:
        return clamp_min(x, low)
    return x if high is None else clamp_max(x, high)


@decomposes(aten.maximum.default, aten.clamp_min.Tensor)
def maximum(a: Tensor, b: Tensor) -> Tensor:
    """``b + max(a - b, 0)``."""
    return b + torch.relu(a - b)


@decomposes(aten.minimum.default, aten.clamp_max.Tensor)
def minimum(a: Tensor, b: Tensor) -> Tensor:
    """``a - max(a - b, 0)``."""
    return a - torch.relu(a - b)


@decomposes(aten.clamp.Tensor)
def clamp_between(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:  # noqa: D103
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


@decomposes(aten.abs.default)
def absolute(x: Tensor) -> Tensor:
    """``2 max(x, 0) - x``."""
    return torch.relu(x) * 2 - x


@decomposes(aten.sgn.default, aten.sign.default)
def sign(x: Tensor) -> Tensor:
    """1 above zero, -1 below, 0 at it: the difference of two masks."""
    return (x > 0).to(x.dtype) - (x < 0).to(x.dtype)


@decomposes(aten.glu.default)
def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half times the sigmoid of the second."""
    a, b = x.chunk(2, dim)
    return a * ops.table(b, "sigmoid")


@decomposes(aten.glu_backward.default)
def glu_backward(g: Tensor, x: Tensor, dim: int) -> Tensor:  # noqa: D103
    a, b = x.chunk(2, dim)
    s = ops.table(b, "sigmoid")
    return torch.cat([g * s, g * a * (s - s * s)], dim)
