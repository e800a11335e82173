"""The integer program: what a float graph means once every number is an integer.

A program is a list of nodes in single static assignment. A node's tensor holds integers; the real number it
stands for is ``integer / 2**scale``. Ordinary nodes are linear or bilinear and exact. What is not (a
division, a comparison) enters as a *hint*: a tensor the prover supplies, pinned down by *range checks* and
*equations*. The reference graph computes hints, the circuit graph reads them from a committed vector, and
both agree because the claims leave one value only (docs/arithmetic.md has the argument for each gadget).

Every node carries ``bound``, a bound on the absolute value of its integers that follows from the declared
ranges. It proves that int64 arithmetic does not overflow and that nothing wraps around in the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedproof.errors import CallerError
from fedproof.lowering.claims import Check, Equation, FunctionLookup, FunctionTable, Slot
from fedproof.lowering.origins import Origin
from fedproof.lowering.table import FIRST

IntArray = NDArray[np.int64]
Shape = tuple[int, ...]
#: Which input position each tap of each output position of a convolution reads; -1 for padding.
Taps = tuple[tuple[int, ...], ...]

#: int64 arithmetic of the reference must not overflow; the scalar field (254 bits) is far above it.
MAX_BOUND = 2**62
#: An equation over values below this cannot wrap around in the scalar field of 254 bits.
FIELD_BOUND = 2**252


@dataclass(frozen=True)
class Node:
    """One tensor of the program, and the operation that gives it."""

    id: int
    op: str
    inputs: tuple[int, ...]
    attrs: tuple[tuple[str, Any], ...]
    shape: Shape
    scale: int
    bound: int
    label: str

    def attr(self, name: str) -> Any:  # noqa: ANN401 - attributes are heterogeneous by nature
        """Value of the attribute ``name``."""
        return dict(self.attrs)[name]

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass
class Program:
    """An integer program under construction, or complete.

    ``table_bits`` is the width w of the lookup table: one lookup proves membership in ``[0, 2**w)``.
    """

    table_bits: int
    nodes: list[Node] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    tables: list[FunctionTable] = field(default_factory=list)
    functions: list[FunctionLookup] = field(default_factory=list)
    #: For each table the hint that says how often each entry is looked up.
    counts: list[int] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    constants: dict[int, IntArray] = field(default_factory=dict)
    #: The float node that is being lowered, and for each node the one that first needed it.
    origin: Origin | None = None
    origins: dict[int, Origin] = field(default_factory=dict)
    #: In a segment of a larger program (segments.py): how all of them store what they share.
    fixed_shifts: dict[int, int] | None = None
    _interned: dict[Any, int] = field(default_factory=dict, repr=False)

    # -- construction -------------------------------------------------------------------------------

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

    def check(self, node: Node, offset: int, label: str) -> None:
        """Demand that ``node + offset`` lies in the table, elementwise."""
        claim = Check(node.id, offset, label)
        if claim not in self.checks:
            self.checks.append(claim)

    def equate(self, terms: Sequence[tuple[int, Node]], constant: int, label: str) -> None:
        """Demand ``sum(coefficient * node) + constant == 0``, elementwise. Scales are up to the caller."""
        shapes = {node.shape for _, node in terms}
        if len(shapes) != 1:
            raise AssertionError(f"lowering bug: equation {label} over the shapes {shapes}")
        if sum(abs(c) * node.bound for c, node in terms) + abs(constant) >= FIELD_BOUND:
            raise CallerError(f"the equation of {label} could wrap around in the field")
        claim = Equation(tuple((c, node.id) for c, node in terms), constant, label)
        if all((e.terms, e.constant) != (claim.terms, constant) for e in self.equations):
            self.equations.append(claim)

    def function(self, x: Node, table: FunctionTable, scale: int) -> Node:
        """``table`` of every element of ``x``, at ``scale``: one claim proves x to be in its domain, too."""
        if table not in self.tables:
            self.tables.append(table)
        bound = max(abs(v) for v in table.values)
        y = self.hint("table", x, x.shape, scale, bound, table.name, first=table.first, values=table.values)
        claim = FunctionLookup(x.id, y.id, self.tables.index(table))
        if claim not in self.functions:
            self.functions.append(claim)
        return y

    def count_lookups(self) -> None:
        """Add the hints that say how often each table's entries are looked up: after the last lookup."""
        for i, table in enumerate(self.tables):
            inputs = [self.nodes[f.x] for f in self.functions if f.table == i]
            shape, most = (len(table.values),), sum(x.size for x in inputs)
            hint = self.hint("count", inputs, shape, 0, most, f"{table.name} counts", first=table.first)
            self.counts.append(hint.id)

    def slot(self, name: str, nodes: Sequence[Node], salt: int, *, shifted: bool = False) -> None:
        """Declare the next committed vector. A tensor has one place in all vectors."""
        taken = [i for s in self.slots for i in s.nodes]
        for i in (n.id for n in nodes):
            if i in taken:
                raise AssertionError(f"lowering bug: tensor {i} has two places among the committed vectors")
            taken.append(i)
        self.slots.append(Slot(name, tuple(n.id for n in nodes), salt, shifted))

    # -- questions ----------------------------------------------------------------------------------

    @property
    def hints(self) -> list[Node]:
        """All hints, in order."""
        return [n for n in self.nodes if n.op == "hint"]

    @property
    def lookups(self) -> int:
        """Number of table lookups; also the circuit's one public instance."""
        return sum(self.nodes[c.node].size for c in self.checks)

    @property
    def challenged(self) -> bool:
        """Whether the circuit needs a challenge, in a vector of its own after the slots."""
        return bool(self.equations or self.functions)

    @property
    def late_size(self) -> int:
        """Length of the vector that is chosen after the others are committed to: the challenge."""
        return 1 if self.challenged else 0

    def shifts(self) -> dict[int, int]:
        """By how much a committed tensor is stored shifted: so that its range check reads it as it stands."""
        if self.fixed_shifts is not None:
            return self.fixed_shifts
        shiftable = {i for s in self.slots if s.shifted for i in s.nodes}
        found: dict[int, int] = {}
        for c in self.checks:
            if c.node in shiftable:
                found.setdefault(c.node, c.offset + FIRST)
        return found

    def slot_size(self, slot: Slot) -> int:
        """Length of a committed vector, salt included."""
        return sum(self.nodes[i].size for i in slot.nodes) + slot.salt

    def prune(self) -> Program:
        """Return the same program without nodes that no check or slot depends on."""
        wanted: set[int] = set()
        stack = [c.node for c in self.checks] + [i for s in self.slots for i in s.nodes]
        stack += [i for e in self.equations for _, i in e.terms]
        stack += [i for f in self.functions for i in (f.x, f.y)] + self.counts
        while stack:
            i = stack.pop()
            if i not in wanted:
                wanted.add(i)
                stack.extend(self.nodes[i].inputs)
        new = {old: k for k, old in enumerate(sorted(wanted))}
        pruned = Program(self.table_bits)
        for old, k in new.items():
            n = self.nodes[old]
            inputs = tuple(new[i] for i in n.inputs)
            pruned.nodes.append(Node(k, n.op, inputs, n.attrs, n.shape, n.scale, n.bound, n.label))
        pruned.checks = [Check(new[c.node], c.offset, c.label) for c in self.checks]
        pruned.equations = [
            Equation(tuple((k, new[i]) for k, i in e.terms), e.constant, e.label) for e in self.equations
        ]
        pruned.tables = list(self.tables)
        pruned.functions = [FunctionLookup(new[f.x], new[f.y], f.table) for f in self.functions]
        pruned.counts = [new[i] for i in self.counts]
        pruned.slots = [Slot(s.name, tuple(new[i] for i in s.nodes), s.salt, s.shifted) for s in self.slots]
        pruned.constants = {new[i]: v for i, v in self.constants.items() if i in new}
        if self.fixed_shifts is not None:
            pruned.fixed_shifts = {new[i]: v for i, v in self.fixed_shifts.items() if i in new}
        pruned.origins = {new[i]: o for i, o in self.origins.items() if i in new}
        return pruned


def _broadcast(a: Node, b: Node) -> Shape:
    try:
        return tuple(np.broadcast_shapes(a.shape, b.shape))
    except ValueError as e:
        raise CallerError(f"shapes {a.shape} and {b.shape} do not broadcast") from e


def _same_scale(a: Node, b: Node) -> int:
    if a.scale != b.scale:
        raise AssertionError(f"lowering bug: scales {a.scale} and {b.scale} meet unaligned")
    return a.scale
