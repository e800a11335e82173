"""Convolutions of one and two dimensions, and their gradients as convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fedproof.errors import CallerError
from fedproof.export.decompositions.registry import CANONICAL, aten, decomposes

Ints = Sequence[int]


def _convolve(
    x: Tensor,
    w: Tensor,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int,
    outward: Ints | None = None,
) -> Tensor:
    """``outward`` is the output padding of a transposed convolution, None for an ordinary one."""
    result: Tensor = aten.convolution.default(
        x,
        w,
        None,
        list(stride),
        list(padding),
        list(dilation),
        outward is not None,
        list(outward or (0, 0)),
        groups,
    )
    return result


@decomposes(aten.convolution.default)
def convolution(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Tensor:
    """One dimension is two of which one has length 1. A transposed convolution adds its bias afterwards."""
    if x.dim() == 3:
        y: Tensor = aten.convolution.default(
            x.unsqueeze(2),
            w.unsqueeze(2),
            bias,
            [1, *stride],
            [0, *padding],
            [1, *dilation],
            transposed,
            [0, *output_padding],
            groups,
        )
        return y.squeeze(2)
    if x.dim() != 4:
        raise CallerError(f"a convolution over {x.dim() - 2} dimensions", hint="one or two are supported")
    if transposed and bias is not None:
        return _convolve(x, w, stride, padding, dilation, groups, output_padding) + bias.reshape(1, -1, 1, 1)
    return CANONICAL


def _weight_gradient(
    x: Tensor, g: Tensor, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Tensor:
    """Gradient (O, I/groups, kh, kw) of the weight of a convolution of x (B, I, ...) with output gradient g.

    A convolution again: the batch is summed over like channels, strides become dilations. Where the stride
    leaves a remainder it sees more offsets than the kernel has; they are cut off.
    """
    b, i = x.shape[:2]
    grouped = x.reshape(b, groups, i // groups, *x.shape[2:]).permute(2, 1, 0, 3, 4)
    grouped = grouped.reshape(i // groups, groups * b, *x.shape[2:])
    w = _convolve(grouped, g.transpose(0, 1), dilation, padding, stride, groups)
    return w[:, :, : kernel[0], : kernel[1]].transpose(0, 1)


@decomposes(aten.convolution_backward.default)
def convolution_backward(
    g: Tensor,
    x: Tensor,
    w: Tensor,
    bias_sizes: Ints | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
    mask: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, weight and bias."""
    if x.dim() == 3:
        gx, gw, gb = convolution_backward(
            g.unsqueeze(2),
            x.unsqueeze(2),
            w.unsqueeze(2),
            bias_sizes,
            [1, *stride],
            [0, *padding],
            [1, *dilation],
            transposed,
            [0, *output_padding],
            groups,
            mask,
        )
        return gx if gx is None else gx.squeeze(2), gw if gw is None else gw.squeeze(2), gb
    gx = gw = None
    kernel = w.shape[2:]
    if mask[0] and transposed:
        gx = _convolve(g, w, stride, padding, dilation, groups)
    elif mask[0]:
        reached = [
            (g.shape[2 + a] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[a] - 1) + 1
            for a in (0, 1)
        ]
        outward = [x.shape[2 + a] - reached[a] for a in (0, 1)]
        gx = _convolve(g, w, stride, padding, dilation, groups, outward)
    if mask[1]:
        image, gradient = (g, x) if transposed else (x, g)
        gw = _weight_gradient(image, gradient, kernel, stride, padding, dilation, groups)
    return gx, gw, g.sum((0, 2, 3)) if mask[2] else None
