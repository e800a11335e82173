"""Sums of a tensor's elements with weights along its axes, one axis at a time."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt, prod

import numpy as np

from fedproof.lowering.circuit.cells import Cells
from fedproof.lowering.circuit.covector import Covector, Dense, Geometric, Vector, split
from fedproof.lowering.circuit.powers import Powers
from fedproof.lowering.circuit.purposes import Purpose
from fedproof.lowering.ir import Program, Shape

#: Shape of a tensor, and the weights along its axes.
Group = tuple[Shape, tuple[Vector, ...]]


@dataclass(frozen=True)
class Deferred:
    """A weighted sum that is computed together with others: number ``index`` of its group."""

    group: Group
    index: int


Factor = str | Deferred
#: An integer, and the scalars it is to be multiplied with: cells of shape (1,), or sums to come.
Term = tuple[int, tuple[Factor, ...]]
#: Axes of at least this length are worth splitting.
LONG = 48


def is_ones(v: Vector) -> bool:
    """Whether every element is 1."""
    return isinstance(v, Geometric) and (v.stride == 0 or v.n == 1)


def split_long(shape: Shape, axes: list[Vector]) -> tuple[Shape, list[Vector]]:
    """Split long geometric axes in two: two short vectors of powers are cheaper than a long one."""
    sizes: list[int] = []
    vectors: list[Vector] = []
    for n, v in zip(shape, axes, strict=True):
        short = (
            next((b for b in range(isqrt(n), n // (8 * isqrt(n)), -1) if n % b == 0), 1) if n >= LONG else 1
        )
        if isinstance(v, Geometric) and v.stride and short > 1:
            sizes += [n // short, short]
            vectors += [*split(v, (n // short, short))]
        else:
            sizes.append(n)
            vectors.append(v)
    return tuple(sizes), vectors


class Contractions(Powers):
    """Weighted sums of cells, each computed once."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._contracted: dict[tuple[Cells, int, Vector], Cells] = {}
        self._totals: dict[Vector, str] = {}
        self._groups: dict[Group, list[tuple[str, Purpose]]] = {}
        self._places_in_group: dict[tuple[Group, str], int] = {}
        self._sums: dict[Group, str] = {}
        self._purpose = Purpose("equations")
        #: What an operation is for that several claims share equally.
        self._sharers: tuple[Purpose, ...] = ()

    def vector(self, v: Vector) -> str:
        """Return the cells of a vector, of shape (n,)."""
        return v.name if isinstance(v, Dense) else self.geometric(v.stride, v.n)

    def total(self, v: Vector) -> str:
        """Return the sum of a vector, of shape (1,)."""
        if v not in self._totals:
            if v.n == 1:
                name = self.vector(v)
            elif is_ones(v):
                name = self.scalar(v.n)
            else:
                name = self.op(
                    "ReduceSum", [self.vector(v), self.indices([0])], self.fresh("total"), keepdims=1
                )
            self._totals[v] = name
        return self._totals[v]

    def contract(self, x: Cells, axis: int, v: Vector) -> Cells:
        """Return ``sum_i v[i] * x[.., i, ..]`` over one axis, without a shift: one cell an element of x."""
        # The same cells may be asked for with their shift, and without.
        key = (x, axis, v)
        if key not in self._contracted:
            self._contracted[key] = self._contract(x, axis, v)
        return self._contracted[key]

    def _contract(self, x: Cells, axis: int, v: Vector) -> Cells:
        rest = tuple(n for i, n in enumerate(x.shape) if i != axis)
        n, m = x.shape[axis], prod(rest)
        ones = is_ones(v)
        if n == 1 and ones:
            return Cells(self.reshape(x.name, rest), rest, x.shift)
        last = x.name
        if axis != len(x.shape) - 1:
            order = [i for i in range(len(x.shape)) if i != axis] + [axis]
            last = self.op("Transpose", [last], self.fresh("moved"), perm=order)
        matrix = self.reshape(last, (m, n))
        if ones:
            name = self.op("ReduceSum", [matrix, self.indices([1])], self.fresh("sum"), keepdims=0)
            return self.unshifted(Cells(self.reshape(name, rest), rest, x.shift * n))
        column = self.reshape(self.vector(v), (n, 1))
        name = self.op("MatMul", [matrix, column], self.fresh("sum"))
        return self.without(Cells(self.reshape(name, rest), rest), x.shift, v)

    def without(self, x: Cells, shift: int, v: Vector) -> Cells:
        """Return ``x - shift * sum(v)``: what a shift of the summands added."""
        if not shift:
            return x
        excess = self.op("Mul", [self.total(v), self.scalar(shift)], self.fresh("excess"))
        size = prod(x.shape)
        flat = self.op("Sub", [self.reshape(x.name, (size,)), excess], self.fresh("shifted"))
        return Cells(self.reshape(flat, x.shape), x.shape)

    def weigh(self, x: Cells, t: Covector) -> list[Term]:
        """Return the sum of all elements of ``x`` with the weights ``t``, the longest axis first."""
        terms: list[Term] = []
        if x.shift:
            # Weights of the shift alone: the product of the vectors' sums.
            totals = tuple(self.total(v) for v in t.axes if not (v.n == 1 and is_ones(v)))
            terms.append((-x.shift * t.coefficient, (*t.factors, *totals)))
            x = Cells(x.name, x.shape)
        terms.append((t.coefficient, (*t.factors, self._defer(x, t.axes))))
        return terms

    def _defer(self, x: Cells, axes: tuple[Vector, ...]) -> Deferred:
        """Ask for the sum of ``x`` with the weights of ``axes``; tensors with equal weights are
        summed together.
        """
        key = (x.shape, axes)
        members = self._groups.setdefault(key, [])
        if (key, x.name) not in self._places_in_group:
            self._places_in_group[key, x.name] = len(members)
            members.append((x.name, self._purpose))
        return Deferred(key, self._places_in_group[key, x.name])

    def close_groups(self) -> None:
        """Emit what was deferred: for each kind of weights one sum over all tensors that are summed
        with them.
        """
        for key, members in self._groups.items():
            shape, axes = key
            count, size = len(members), prod(shape)
            self._sharers = tuple(purpose for _, purpose in members)
            sizes, vectors = split_long(shape, list(axes))
            x = Cells(
                self.reshape(self._stacked([name for name, _ in members], size), (count, *sizes)),
                (count, *sizes),
            )
            while vectors:
                at = max(range(len(vectors)), key=lambda i: vectors[i].n)
                x = self.contract(x, at + 1, vectors.pop(at))
            self._sums[key] = x.name
        self._sharers = ()

    def _stacked(self, names: list[str], size: int) -> str:
        origins = [self._origins.get(name) for name in names]
        slots = {o[0] if o else None for o in origins}
        if len(slots) == 1 and None not in slots:
            return self.take(slots.pop() or "", np.concatenate([o[1].ravel() for o in origins if o]))
        return self.joined([self.reshape(name, (size,)) for name in names], size * len(names))

    def scalar_of(self, factor: Factor) -> str:
        """Return the cells of a factor, of shape (1,), once groups are closed."""
        if isinstance(factor, str):
            return factor
        return self.take(self._sums[factor.group], np.array([factor.index]))
