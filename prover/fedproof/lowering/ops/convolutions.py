"""Conv and ConvTranspose, in one and two dimensions: sums over windows, exact."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import onnx

from fedproof.lowering.context import Constant, Context, Joined, UnsupportedOp, Value, attributes, lowers
from fedproof.lowering.ir import Node, Shape
from fedproof.lowering.ops.arithmetic import add_values
from fedproof.lowering.ops.products import factor
from fedproof.lowering.windows import direct_taps, transposed_taps


@dataclass(frozen=True)
class Window:
    """How a kernel moves along one axis."""

    stride: int
    dilation: int
    before: int
    after: int
    #: What a transposed convolution adds at the end.
    outward: int


def windows(node: onnx.NodeProto, attrs: dict[str, Any], kernel: Shape) -> list[Window]:
    """Return the window of each axis. Raises :class:`UnsupportedOp` for automatic padding."""
    n = len(kernel)
    auto = attrs.get("auto_pad", b"NOTSET")
    if auto not in (b"NOTSET", "NOTSET", b"", ""):
        raise UnsupportedOp(node, f"auto_pad {auto!r}: give the padding in numbers")
    if "output_shape" in attrs:
        raise UnsupportedOp(node, "an output_shape: give pads and output_padding")
    declared = tuple(attrs.get("kernel_shape", kernel))
    if declared != kernel:
        raise UnsupportedOp(node, f"kernel_shape is {declared}, the weights have {kernel}")
    strides, dilations = attrs.get("strides", [1] * n), attrs.get("dilations", [1] * n)
    pads, outward = attrs.get("pads", [0] * 2 * n), attrs.get("output_padding", [0] * n)
    return [
        Window(int(strides[i]), int(dilations[i]), int(pads[i]), int(pads[n + i]), int(outward[i]))
        for i in range(n)
    ]


def _convolved(ctx: Context, node: onnx.NodeProto, *, transposed: bool) -> Node:
    p, label, attrs = ctx.program, node.output[0], attributes(node)
    x, w = (
        ctx.narrow(factor(ctx, node, 0), f"{label} image"),
        ctx.narrow(factor(ctx, node, 1), f"{label} kernel"),
    )
    w = ctx.rounded(w, x, x.size * w.shape[1 if transposed else 0], f"{label} kernel")
    x, w = ctx.fitting(x, w, label, prod(w.shape[1:]) * (w.shape[0] if transposed else 1))
    groups, line = int(attrs.get("group", 1)), len(x.shape) == 3
    if len(x.shape) != len(w.shape) or len(x.shape) not in (3, 4):
        raise UnsupportedOp(node, f"{x.shape} convolved with {w.shape}: one and two dimensions are supported")
    steps = windows(node, attrs, w.shape[2:])
    if line:
        steps = [Window(1, 1, 0, 0, 0), *steps]
        x = p.reshape(x, (*x.shape[:2], 1, x.shape[2]))
        w = p.reshape(w, (*w.shape[:2], 1, w.shape[2]))
    if transposed:
        c, o, *kernel = w.shape
        if c % groups:
            raise UnsupportedOp(node, f"{c} channels in {groups} groups")
        grouped = p.transpose(p.reshape(w, (groups, c // groups, o, *kernel)), (0, 2, 1, 3, 4))
        w = p.reshape(grouped, (groups * o, c // groups, *kernel))
    taps = []
    for size, kernel_size, s in zip(x.shape[2:], w.shape[2:], steps, strict=True):
        reach = s.dilation * (kernel_size - 1) + 1
        if transposed:
            outputs = (size - 1) * s.stride + reach + s.outward - s.before - s.after
            made = transposed_taps
        else:
            outputs = (size + s.before + s.after - reach) // s.stride + 1
            made = direct_taps
        if outputs < 1:
            raise UnsupportedOp(node, f"a window of {reach} does not fit an axis of {size}")
        taps.append(made(size, outputs, kernel_size, s.stride, s.dilation, s.before))
    y = p.conv(x, w, taps[0], taps[1], groups)
    y = p.reshape(y, (*y.shape[:2], y.shape[3])) if line else y
    return _biased(ctx, node, y)


def _biased(ctx: Context, node: onnx.NodeProto, y: Node) -> Node:
    if len(node.input) < 3 or not node.input[2]:
        return y
    bias = ctx.values[node.input[2]]
    upright = (-1,) + (1,) * (len(y.shape) - 2)
    if isinstance(bias, Constant):
        return add_values(ctx, node, y, Constant(bias.values.reshape(upright)))
    if isinstance(bias, Joined):
        bias = ctx.materialise(bias)
    if not isinstance(bias, Node):
        raise UnsupportedOp(node, "the bias must be a tensor")
    return add_values(ctx, node, y, ctx.program.reshape(bias, (bias.size, *upright[1:])))


@lowers("Conv")
def conv(ctx: Context, node: onnx.NodeProto) -> Value:
    """Convolution of x (N, C, ...) with w (O, C/groups, ...) and a bias (O,), any window."""
    return _convolved(ctx, node, transposed=False)


@lowers("ConvTranspose")
def conv_transpose(ctx: Context, node: onnx.NodeProto) -> Value:
    """Its adjoint: x (N, C, ...) with w (C, O/groups, ...) and a bias (O,)."""
    return _convolved(ctx, node, transposed=True)
