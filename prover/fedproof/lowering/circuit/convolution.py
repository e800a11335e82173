"""Functionals of convolutions: one axis of the window at a time.

For weights u over the output channels, v over samples, s and t over rows and columns of the output,

    <u v s t, conv(x, w)> = sum_{c,k,l} (u w)[c,k,l] * (sum_j s_j sum_i t_i (v x)[c, row(j,k), column(i,l)])

so that the windows are never laid out: a row of x meets each tap of one axis only.
"""

from __future__ import annotations

import numpy as np

from fedproof.lowering.circuit.cells import Cells
from fedproof.lowering.circuit.contraction import Term
from fedproof.lowering.circuit.covector import Covector, Vector
from fedproof.lowering.circuit.pairing import Pairing, rule
from fedproof.lowering.ir import Node, Taps


@rule("conv")
def _conv(e: Pairing, node: Node, t: Covector) -> list[Term]:
    x, w = e.parent(node), e.parent(node, 1)
    groups = node.attr("groups")
    samples, channels, down, across = t.axes
    image = e.unshifted(e.contract(e.cells(x), 0, samples))
    windows = _slide(e, image, 2, node.attr("columns"), across)
    windows = _slide(e, windows, 1, node.attr("rows"), down)
    kernels = e.cells(w)
    _, c, k, m = w.shape
    if groups == 1:
        mixed = e.unshifted(e.contract(kernels, 0, channels))
        flat = Cells(e.reshape(mixed.name, (c * k * m,)), (c * k * m,))
    else:
        flat = _by_group(e, e.unshifted(kernels), groups, channels)
    size = x.shape[1] * k * m
    return [(t.coefficient, (*t.factors, e.dot(flat, Cells(e.reshape(windows.name, (size,)), (size,)))))]


def _slide(e: Pairing, x: Cells, axis: int, taps: Taps, v: Vector) -> Cells:
    """Return, in place of ``axis`` of x, the taps k: ``sum_j v[j] * x[taps[j][k]]``."""
    inputs, outputs, kernel = x.shape[axis], len(taps), len(taps[0])
    order = [i for i in range(len(x.shape)) if i != axis]
    rest = tuple(x.shape[i] for i in order)
    rows = int(np.prod(rest))
    last = e.op("Transpose", [x.name], e.fresh("moved"), perm=[*order, axis])
    index = np.array(taps)
    if outputs < inputs:
        # Few outputs: gather what each tap reads, and sum it with the weights.
        source = e.reshape(last, (rows, inputs))
        if index.min() < 0:
            source = e.joined([source, e.zeros((rows, 1))], inputs + 1, 1)
        read = e.take(source, np.where(index < 0, inputs, index).T, axis=1)
        matrix = e.reshape(read, (rows * kernel, outputs))
        name = e.op("MatMul", [matrix, e.reshape(e.vector(v), (outputs, 1))], e.fresh("slid"))
    else:
        # Few inputs: gather the weight with which each tap reads each of them.
        at = np.full((inputs, kernel), outputs)
        for j, k in np.argwhere(index >= 0):
            at[index[j, k], k] = j
        padded = e.joined([e.vector(v), e.zero()], outputs + 1)
        name = e.op("MatMul", [e.reshape(last, (rows, inputs)), e.take(padded, at)], e.fresh("slid"))
    moved = e.reshape(name, (*rest, kernel))
    back = [*range(axis), len(rest), *range(axis, len(rest))]
    shape = (*rest[:axis], kernel, *rest[axis:])
    return Cells(e.op("Transpose", [moved], e.fresh("moved"), perm=back), shape)


def _by_group(e: Pairing, w: Cells, groups: int, v: Vector) -> Cells:
    """Return ``sum_o v[o] w[o]`` over the output channels of each group, flat, input channels first."""
    o, c, k, m = w.shape
    each, size = o // groups, c * k * m
    vector, parts = e.vector(v), []
    for g in range(groups):
        part = e.take(w.name, np.arange(g * each, (g + 1) * each))
        row = e.reshape(e.take(vector, np.arange(g * each, (g + 1) * each)), (1, each))
        product = e.op("MatMul", [row, e.reshape(part, (each, size))], e.fresh("group"))
        parts.append(e.reshape(product, (size,)))
    return Cells(e.joined(parts, groups * size), (groups * size,))
