"""Pooling as windows: elements picked by constant places, then a sum or a maximum over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedproof.errors import CallerError
from fedproof.export import operators as ops
from fedproof.export.decompositions.registry import aten, decomposes

Ints = Sequence[int]


class Windows:
    """Windows of a (B, C, H, W) tensor: how to gather them to (B, C, oh, ow, k) and back."""

    def __init__(
        self, shape: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil: bool
    ) -> None:
        self.lead, self.size = tuple(shape[:-2]), tuple(shape[-2:])
        self.kernel = _pair(kernel)
        stride, padding, dilation = _pair(stride or kernel), _pair(padding), _pair(dilation)
        rows, cols = (
            _places(n, k, s, p, d, ceil)
            for n, k, s, p, d in zip(self.size, self.kernel, stride, padding, dilation, strict=True)
        )
        self.out = (len(rows), len(cols))
        #: Whether the windows tile the image: then they are a reshape.
        self.tiles = all(
            n == k * o and k == s for n, k, o, s in zip(self.size, self.kernel, self.out, stride, strict=True)
        )
        r, c = rows[:, None, :, None], cols[None, :, None, :]
        inside = (r >= 0) & (c >= 0)
        places = np.where(inside, r * self.size[1] + c, -1)
        #: Flat places (oh, ow, k) of each window's elements, -1 in the padding.
        self.places: NDArray[np.int64] = places.reshape(*self.out, -1)

    def gather(self, x: Tensor, places: NDArray[np.int64] | None = None) -> Tensor:
        """(..., H, W) to (..., oh, ow, k)."""
        (oh, ow), (kh, kw) = self.out, self.kernel
        if self.tiles:
            split = x.reshape(*self.lead, oh, kh, ow, kw).transpose(-3, -2)
            return split.reshape(*self.lead, oh, ow, kh * kw)
        flat = x.reshape(*self.lead, prod(self.size))
        picked = ops.pick(flat, torch.from_numpy((self.places if places is None else places).reshape(-1)))
        return picked.reshape(*self.lead, oh, ow, kh * kw)

    def scatter(self, g: Tensor, places: NDArray[np.int64] | None = None) -> Tensor:
        """The adjoint of :meth:`gather`: elements of windows are added up where they came from."""
        (oh, ow), (kh, kw) = self.out, self.kernel
        if self.tiles:
            joined = g.reshape(*self.lead, oh, ow, kh, kw).transpose(-3, -2)
            return joined.reshape(*self.lead, *self.size)
        flat = torch.from_numpy((self.places if places is None else places).reshape(-1))
        placed = ops.place(g.reshape(*self.lead, flat.numel()), flat, prod(self.size))
        return placed.reshape(*self.lead, *self.size)

    @property
    def filled(self) -> NDArray[np.int64]:
        """Places with the padding of a window replaced by an element of it: the maximum is the same."""
        own = self.places.max(-1, keepdims=True)
        return np.where(self.places < 0, own, self.places)


def _pair(values: Ints) -> tuple[int, int]:
    values = tuple(int(v) for v in values)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def _places(n: int, k: int, s: int, p: int, d: int, ceil: bool) -> NDArray[np.int64]:
    """Places (out, k) of the windows along one axis, -1 outside."""
    span = n + 2 * p - d * (k - 1) - 1
    out = -(-span // s) + 1 if ceil else span // s + 1
    if ceil and (out - 1) * s >= n + p:  # the last window must begin inside the image or its left padding
        out -= 1
    places = np.arange(out)[:, None] * s - p + np.arange(k)[None, :] * d
    return np.where((places >= 0) & (places < n), places, -1)


@decomposes(aten.max_pool2d_with_indices.default)
def max_pool(
    x: Tensor,
    kernel: Ints,
    stride: Ints = (),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    ceil: bool = False,
) -> tuple[Tensor, Tensor]:
    """The maxima; instead of their indices, the windows' one-hot vectors (which only the gradient reads)."""
    windows = Windows(x.shape, kernel, stride, padding, dilation, ceil)
    values, _ = ops.max_last(windows.gather(x, windows.filled))
    # The indices are of no use to a circuit. Their place is kept, so that a use of them is noticed.
    return values, torch.zeros(values.shape, dtype=torch.int64)


@decomposes(aten.max_pool2d_with_indices_backward.default)
def max_pool_backward(
    g: Tensor,
    x: Tensor,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    ceil: bool,
    indices: Tensor,
) -> Tensor:
    """The gradient goes to the first maximum of each window."""
    del indices
    windows = Windows(x.shape, kernel, stride, padding, dilation, ceil)
    _, onehot = ops.max_last(windows.gather(x, windows.filled))
    return windows.scatter(g.unsqueeze(-1) * onehot, windows.filled)


def _share(
    windows: Windows, padded: NDArray[np.float64], divisor: int | None, include: bool
) -> Tensor | float:
    """One over the number of elements that each window averages: a number, or (oh, ow)."""
    if divisor:
        return 1 / divisor
    counts = padded if include else (windows.places >= 0).sum(-1).astype(float)
    first = float(counts.flat[0])
    return 1 / first if (counts == first).all() else torch.from_numpy((1 / counts).astype(np.float32))


def _average(
    shape: Ints, kernel: Ints, stride: Ints, padding: Ints, ceil: bool, include: bool, divisor: int | None
) -> tuple[Windows, Tensor | float]:
    windows = Windows(shape, kernel, stride, padding, (1,), ceil)
    (kh, kw), (ph, pw), (sh, sw) = windows.kernel, _pair(padding), _pair(stride or kernel)
    rows, cols = (
        np.minimum(np.arange(o) * s - p + k, n + p) - (np.arange(o) * s - p)
        for o, s, p, k, n in zip(windows.out, (sh, sw), (ph, pw), (kh, kw), windows.size, strict=True)
    )
    return windows, _share(windows, np.outer(rows, cols).astype(float), divisor, include)


@decomposes(aten.avg_pool2d.default)
def avg_pool(
    x: Tensor,
    kernel: Ints,
    stride: Ints = (),
    padding: Ints = (0,),
    ceil: bool = False,
    include: bool = True,
    divisor: int | None = None,
) -> Tensor:
    """Sums of windows times a constant."""
    windows, share = _average(x.shape, kernel, stride, padding, ceil, include, divisor)
    return windows.gather(x).sum(-1) * share


@decomposes(aten.avg_pool2d_backward.default)
def avg_pool_backward(
    g: Tensor,
    x: Tensor,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    ceil: bool,
    include: bool,
    divisor: int | None,
) -> Tensor:
    """Each element of a window gets its share."""
    windows, share = _average(x.shape, kernel, stride, padding, ceil, include, divisor)
    spread = (g * share).unsqueeze(-1).expand(*g.shape, prod(windows.kernel))
    return windows.scatter(spread)


def _adaptive(x: Tensor, out: Ints) -> list[int]:
    """Kernel of an adaptive pooling whose windows tile. Raises :class:`CallerError` where they do not."""
    if any(n % o for n, o in zip(x.shape[-2:], out, strict=True)):
        raise CallerError(
            f"adaptive pooling of {tuple(x.shape[-2:])} to {tuple(out)}",
            hint="the output size must divide the input size; or use AvgPool2d with a kernel of your choice",
        )
    return [n // o for n, o in zip(x.shape[-2:], out, strict=True)]


@decomposes(aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool(x: Tensor, out: Ints) -> Tensor:
    """Average pooling with the kernel that gives ``out``."""
    return avg_pool(x, _adaptive(x, out))


@decomposes(aten._adaptive_avg_pool2d_backward.default)
def adaptive_avg_pool_backward(g: Tensor, x: Tensor) -> Tensor:
    """Its gradient."""
    return avg_pool_backward(g, x, _adaptive(x, g.shape[-2:]), (), (0,), False, True, None)


@decomposes(aten.adaptive_max_pool2d.default)
def adaptive_max_pool(x: Tensor, out: Ints) -> tuple[Tensor, Tensor]:
    """Max pooling with the kernel that gives ``out``."""
    return max_pool(x, _adaptive(x, out))


@decomposes(aten.adaptive_max_pool2d_backward.default)
def adaptive_max_pool_backward(g: Tensor, x: Tensor, indices: Tensor) -> Tensor:
    """Its gradient."""
    return max_pool_backward(g, x, _adaptive(x, g.shape[-2:]), (), (0,), (1,), False, indices)
