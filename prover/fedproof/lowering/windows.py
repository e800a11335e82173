"""Convolutions as windows: which input positions each output position reads, in numpy and in ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedproof.lowering.exact import exact_matmul
from fedproof.lowering.ir import IntArray, Node, Taps

if TYPE_CHECKING:
    from fedproof.lowering.emit import Emitter


def direct_taps(size: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int) -> Taps:
    """Taps of a convolution along one axis: output j reads input ``j*stride + k*dilation - pad``."""
    return tuple(
        tuple(i if 0 <= (i := j * stride + k * dilation - pad) < size else -1 for k in range(kernel))
        for j in range(outputs)
    )


def transposed_taps(size: int, outputs: int, kernel: int, stride: int, dilation: int, pad: int) -> Taps:
    """Taps of a transposed convolution: output j reads input ``(j + pad - k*dilation) / stride`` if
    that exists.
    """

    def source(j: int, k: int) -> int:
        i, rest = divmod(j + pad - k * dilation, stride)
        return i if rest == 0 and 0 <= i < size else -1

    return tuple(tuple(source(j, k) for k in range(kernel)) for j in range(outputs))


def places(node: Node, height: int, width: int) -> NDArray[np.int64]:
    """Flat positions (K*L, H'*W') of an image (height, width) that a convolution reads; height*width is
    padding.
    """
    rows, columns = np.array(node.attr("rows")), np.array(node.attr("columns"))
    r, c = rows.T[:, None, :, None], columns.T[None, :, None, :]
    flat = np.where((r < 0) | (c < 0), height * width, r * width + c)
    return flat.reshape(rows.shape[1] * columns.shape[1], rows.shape[0] * columns.shape[0])


def convolve(node: Node, x: IntArray, w: IntArray) -> IntArray:
    """Evaluate a ``conv`` node on ``x`` (N, C, H, W) and ``w`` (O, C/groups, K, L)."""
    n, c, height, width = x.shape
    groups, o = node.attr("groups"), w.shape[0]
    at = places(node, height, width)
    padded = np.concatenate([x.reshape(n, c, -1), np.zeros((n, c, 1), dtype=np.int64)], axis=2)
    windows = padded[:, :, at].reshape(n, groups, c // groups * at.shape[0], at.shape[1])
    kernels = w.reshape(1, groups, o // groups, -1)
    return np.asarray((exact_matmul(kernels, windows)).reshape(node.shape))


def emit_convolution(e: Emitter, node: Node, x: str, w: str) -> str:
    """Write a ``conv`` node as a gather of windows and a matrix product."""
    n, c, height, width = e.program.nodes[node.inputs[0]].shape
    groups, o = node.attr("groups"), node.shape[1]
    at, out = places(node, height, width), e.name(node)
    flat = e.op("Reshape", [x, e.indices((n, c, height * width))], f"{out}_flat")
    if at.max() == height * width:
        flat = e.op("Concat", [flat, e.zeros((n, c, 1))], f"{out}_padded", axis=2)
    windows = e.op("Gather", [flat, e.indices(at)], f"{out}_windows", axis=2)
    taps = c // groups * at.shape[0]
    windows = e.op("Reshape", [windows, e.indices((n, groups, taps, at.shape[1]))], f"{out}_matrix")
    kernels = e.op("Reshape", [w, e.indices((1, groups, o // groups, taps))], f"{out}_kernels")
    product = e.op("MatMul", [kernels, windows], f"{out}_product")
    return e.op("Reshape", [product, e.indices(node.shape)], out)
