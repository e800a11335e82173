"""Tensors of the integer program and what is computed from them: everything but claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from fedproof.errors import CallerError
from fedproof.lowering.nodes import MAX_BOUND, IntArray, Node, Shape, Taps
from fedproof.lowering.origins import Origin


@dataclass
class Tensors:
    """Nodes under construction. Equal ones are the same one.

    ``table_bits`` is the width w of the lookup table: one lookup proves membership in ``[0, 2**w)``.
    """

    table_bits: int
    nodes: list[Node] = field(default_factory=list)
    constants: dict[int, IntArray] = field(default_factory=dict)
    #: The float node that is being lowered, and for each node the one that first needed it.
    origin: Origin | None = None
    origins: dict[int, Origin] = field(default_factory=dict)
    _interned: dict[Any, int] = field(default_factory=dict, repr=False)

    def _new(
        self,
        op: str,
        inputs: Sequence[Node],
        shape: Shape,
        scale: int,
        bound: int,
        label: str = "",
        unique: object = None,
        **attrs: object,
    ) -> Node:
        """Append a node, or return the equal one that is there already."""
        if bound > MAX_BOUND:
            raise CallerError(
                f"a value of {label or op} can reach {bound:.3g}, beyond the limit of 2^62",
                hint="fewer fractional bits or a smaller batch keep intermediate values in range",
            )
        key = (op, tuple(n.id for n in inputs), tuple(sorted(attrs.items())), scale, shape, unique)
        if key in self._interned:
            return self.nodes[self._interned[key]]
        node = Node(
            len(self.nodes),
            op,
            tuple(n.id for n in inputs),
            tuple(sorted(attrs.items())),
            shape,
            scale,
            bound,
            label,
        )
        self.nodes.append(node)
        self._interned[key] = node.id
        if self.origin is not None:
            self.origins[node.id] = self.origin
        return node

    def input(self, name: str, shape: Shape, scale: int, bits: int) -> Node:
        """Return the declared input ``name``, signed, of at most ``bits`` bits."""
        return self._new("input", (), shape, scale, 2 ** (bits - 1), name, name=name)

    def const(self, values: IntArray, scale: int) -> Node:
        """Return a constant tensor."""
        values = np.asarray(values, dtype=np.int64)
        bound = int(np.abs(values).max(initial=0))
        node = self._new("const", (), values.shape, scale, bound, unique=values.tobytes())
        self.constants[node.id] = values
        return node

    def hint(
        self,
        kind: str,
        inputs: Node | Sequence[Node],
        shape: Shape,
        scale: int,
        bound: int,
        label: str,
        **attrs: object,
    ) -> Node:
        """Return a tensor that the prover supplies, honestly ``kind`` of ``inputs`` (hints.py)."""
        given = (inputs,) if isinstance(inputs, Node) else tuple(inputs)
        return self._new("hint", given, shape, scale, bound, label, kind=kind, **attrs)

    def add(self, a: Node, b: Node) -> Node:
        """``a + b``, broadcast; the scales must agree."""
        return self._new("add", (a, b), _broadcast(a, b), _same_scale(a, b), a.bound + b.bound)

    def sub(self, a: Node, b: Node) -> Node:
        """``a - b``, broadcast; the scales must agree."""
        return self._new("sub", (a, b), _broadcast(a, b), _same_scale(a, b), a.bound + b.bound)

    def mul(self, a: Node, b: Node, bound: int | None = None) -> Node:
        """Elementwise product, broadcast; scales add.

        A claim that follows may keep it below ``bound``, far below the factors' bounds.
        """
        most = a.bound * b.bound if bound is None else bound
        return self._new("mul", (a, b), _broadcast(a, b), a.scale + b.scale, most)

    def field_mul(self, a: Node, b: Node) -> Node:
        """Elementwise product of which only whether it is 0 matters: it may exceed int64, and the field."""
        return self._new("field_mul", (a, b), _broadcast(a, b), 0, MAX_BOUND)

    def times(self, a: Node, factor: int, scale: int | None = None) -> Node:
        """Multiply by an integer constant; ``scale`` restates the scale of the result (default: kept)."""
        scale = a.scale if scale is None else scale
        if factor == 1:
            return self.restate(a, scale)
        return self._new("times", (a,), a.shape, scale, a.bound * abs(factor), factor=factor)

    def restate(self, a: Node, scale: int) -> Node:
        """Reinterpret the same integers at another scale: a multiplication by a power of two, for free."""
        return a if scale == a.scale else self._new("restate", (a,), a.shape, scale, a.bound)

    def copy(self, a: Node, number: int) -> Node:
        """Return a tensor equal to ``a`` that is not the same node: hints of it are hints of their own."""
        return self._new("restate", (a,), a.shape, a.scale, a.bound, unique=("copy", number))

    def matmul(self, a: Node, b: Node) -> Node:
        """Matrix product over the last two axes, with equal axes before them; scales add."""
        if len(a.shape) < 2 or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
            raise CallerError(f"cannot multiply matrices of shapes {a.shape} and {b.shape}")
        shape = (*a.shape[:-1], b.shape[-1])
        return self._new("matmul", (a, b), shape, a.scale + b.scale, a.shape[-1] * a.bound * b.bound)

    def conv(self, x: Node, w: Node, rows: Taps, columns: Taps, groups: int = 1) -> Node:
        """Convolution of ``x`` (N, C, H, W) with ``w`` (O, C/groups, K, L), any stride, padding or dilation.

        ``rows[j][k]`` is the row of x that tap k of output row j reads, -1 for padding; likewise ``columns``.
        Raises :class:`CallerError` where the shapes do not fit.
        """
        n, c, _, _ = x.shape
        o, per_group, k, m = w.shape
        if (
            per_group * groups != c
            or o % groups
            or {len(t) for t in rows} != {k}
            or {len(t) for t in columns} != {m}
        ):
            raise CallerError(f"cannot convolve {x.shape} with {w.shape} in {groups} groups")
        bound = per_group * k * m * x.bound * w.bound
        shape = (n, o, len(rows), len(columns))
        return self._new(
            "conv", (x, w), shape, x.scale + w.scale, bound, rows=rows, columns=columns, groups=groups
        )

    def gather(self, a: Node, axis: int, indices: tuple[int, ...]) -> Node:
        """Elements at constant ``indices`` along one axis."""
        n = a.shape[axis]
        if not indices or not all(0 <= i < n for i in indices):
            raise CallerError(f"cannot gather {indices} from axis {axis} of {a.shape}")
        if indices == tuple(range(n)):
            return a
        shape = tuple(len(indices) if i == axis else m for i, m in enumerate(a.shape))
        return self._new("gather", (a,), shape, a.scale, a.bound, axis=axis, indices=indices)

    def expand(self, a: Node, shape: Shape) -> Node:
        """Repeat along axes of length one, and along new axes before the first."""
        if a.shape == shape:
            return a
        if tuple(np.broadcast_shapes(a.shape, shape)) != shape:
            raise CallerError(f"cannot expand {a.shape} to {shape}")
        return self._new("expand", (a,), shape, a.scale, a.bound)

    def transpose(self, a: Node, perm: tuple[int, ...]) -> Node:
        """Permute the axes."""
        if perm == tuple(range(len(perm))):
            return a
        source = self.nodes[a.inputs[0]] if a.op == "transpose" else None
        if source is not None:
            inner = a.attr("perm")
            return self.transpose(source, tuple(inner[p] for p in perm))
        return self._new("transpose", (a,), tuple(a.shape[p] for p in perm), a.scale, a.bound, perm=perm)

    def reshape(self, a: Node, shape: Shape) -> Node:
        """Same elements, another shape."""
        if shape == a.shape:
            return a
        if prod(shape) != a.size:
            raise CallerError(f"cannot reshape {a.shape} to {shape}")
        source = self.nodes[a.inputs[0]] if a.op == "reshape" else a
        return source if source.shape == shape else self._new("reshape", (source,), shape, a.scale, a.bound)

    def flatten(self, a: Node) -> Node:
        """Return all elements in one axis."""
        return self.reshape(a, (a.size,))

    def slice(self, a: Node, axis: int, start: int, stop: int) -> Node:
        """Elements ``start:stop`` along one axis."""
        if not 0 <= start < stop <= a.shape[axis]:
            raise CallerError(f"cannot slice {start}:{stop} from axis {axis} of {a.shape}")
        if (start, stop) == (0, a.shape[axis]):
            return a
        shape = tuple(stop - start if i == axis else n for i, n in enumerate(a.shape))
        return self._new("slice", (a,), shape, a.scale, a.bound, axis=axis, start=start, stop=stop)

    def concat(self, parts: Sequence[Node], axis: int) -> Node:
        """Join along one axis; the scales must agree."""
        if len(parts) == 1:
            return parts[0]
        scale = parts[0].scale
        for p in parts[1:]:
            _same_scale(parts[0], p)
        size = sum(p.shape[axis] for p in parts)
        shape = tuple(size if i == axis else n for i, n in enumerate(parts[0].shape))
        return self._new("concat", parts, shape, scale, max(p.bound for p in parts), axis=axis)

    def sum(self, a: Node, axes: tuple[int, ...], *, keepdims: bool) -> Node:
        """Sum over ``axes``."""
        count = prod(a.shape[i] for i in axes)
        kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
        shape = kept if keepdims else tuple(n for i, n in enumerate(a.shape) if i not in axes)
        return self._new("sum", (a,), shape, a.scale, a.bound * count, axes=axes, keepdims=keepdims)


def _broadcast(a: Node, b: Node) -> Shape:
    try:
        return tuple(np.broadcast_shapes(a.shape, b.shape))
    except ValueError as e:
        raise CallerError(f"shapes {a.shape} and {b.shape} do not broadcast") from e


def _same_scale(a: Node, b: Node) -> int:
    if a.scale != b.scale:
        raise AssertionError(f"lowering bug: scales {a.scale} and {b.scale} meet unaligned")
    return a.scale
