"""Random linear functionals of nodes that are never computed: what turns a matrix product into three sums.

``<t, A @ B> = (u A) . (B v)`` for t = u v: instead of m*k*n products the circuit makes m*k + k*n + k. A rule
says how the functional of an operation's result becomes one of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fedproof.lowering.circuit.cells import MOVES, Cells
from fedproof.lowering.circuit.contraction import Contractions, Term, is_ones
from fedproof.lowering.circuit.covector import ONE, Covector, Dense, Geometric, Vector, merged, regroup, split
from fedproof.lowering.ir import Node, Shape

Rule = Callable[["Pairing", Node, Covector], list[Term]]
RULES: dict[str, Rule] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Register how functionals of these operations are taken."""

    def register(f: Rule) -> Rule:
        for op in ops:
            RULES[op] = f
        return f

    return register


class Pairing(Contractions):
    """Takes functionals of nodes, computing as few of them as possible."""

    def pair(self, node: Node, t: Covector) -> list[Term]:
        """Return ``sum_i t[i] * node[i]`` as terms to be added up."""
        t = self.without_single(t)
        if node.op not in RULES or self.is_there(node):
            return self.weigh(self.cells(node), t)
        return RULES[node.op](self, node, t)

    def without_single(self, t: Covector) -> Covector:
        """Return the same weights, those of axes of length one as factors: rules drop such axes."""
        single = [v for v in t.axes if v.n == 1 and not is_ones(v)]
        axes = tuple(ONE if v in single else v for v in t.axes)
        return t.on(axes, *(self.vector(v) for v in single))

    def is_there(self, node: Node) -> bool:
        """Whether the cells of a node exist, or cost nothing."""
        if node.id in self._cells or node.op in ("input", "hint"):
            return True
        return node.op in MOVES and self.is_there(self.parent(node))

    def parent(self, node: Node, i: int = 0) -> Node:
        """Return the node's input ``i``."""
        return self.program.nodes[node.inputs[i]]

    def broadcast(self, shape: Shape, t: Covector) -> Covector:
        """Weights of a tensor of ``shape`` that was broadcast to the axes of ``t``."""
        extra = len(t.axes) - len(shape)
        factors = [self.total(v) for v in t.axes[:extra] if not (v.n == 1 and is_ones(v))]
        axes: list[Vector] = []
        for n, v in zip(shape, t.axes[extra:], strict=True):
            if n == 1 and v.n > 1:
                factors.append(self.total(v))
                axes.append(ONE)
            else:
                axes.append(v)
        return t.on(tuple(axes), *factors)

    def part(self, v: Vector, start: int, stop: int) -> tuple[Vector, tuple[str, ...]]:
        """Return elements ``start:stop`` of a vector, and the factors that they have in common."""
        if isinstance(v, Dense):
            return Dense(self.take(v.name, np.arange(start, stop)), stop - start), ()
        factor = () if v.stride * start == 0 else (self.power(v.stride * start),)
        return Geometric(v.stride, stop - start), factor

    def scattered(self, v: Vector, places: tuple[int, ...], n: int) -> Dense:
        """Return the vector of length n with ``v[i]`` added up at ``places[i]``.

        A layer of n sums for every further element of a place, up to a depth beyond which a place is
        cheaper added up by itself: that of a zero which pads everything, say.
        """
        members: list[list[int]] = [[] for _ in range(n)]
        for i, p in enumerate(places):
            members[p].append(i)
        depths = sorted({max(len(m), 1) for m in members})
        depth = min(depths, key=lambda d: (d - 1) * n + sum(len(m) for m in members if len(m) > d))
        padded = self.joined([self.vector(v), self.zero()], len(places) + 1)
        layers = [
            self.take(padded, np.array([m[k] if k < len(m) <= depth else len(places) for m in members]))
            for k in range(depth)
        ]
        name = layers[0]
        for layer in layers[1:]:
            name = self.op("Add", [name, layer], self.fresh("scattered"))
        heavy = [p for p, m in enumerate(members) if len(m) > depth]
        if heavy:
            totals = [
                self.op(
                    "ReduceSum",
                    [self.take(padded, np.array(members[p])), self.indices([0])],
                    self.fresh("heavy"),
                    keepdims=1,
                )
                for p in heavy
            ]
            at = np.arange(n)
            at[heavy] = n + np.arange(len(heavy))
            name = self.take(self.joined([name, *totals], n + len(heavy)), at)
        return Dense(name, n)

    def outer(self, vectors: list[Vector]) -> Dense:
        """Return the products of all elements of several vectors, in row-major order."""
        name, n = self.vector(vectors[0]), vectors[0].n
        for v in vectors[1:]:
            rows = self.take(name, np.repeat(np.arange(n), v.n))
            columns = self.take(self.vector(v), np.tile(np.arange(v.n), n))
            name, n = self.op("Mul", [rows, columns], self.fresh("outer")), n * v.n
        return Dense(name, n)

    def dot(self, a: Cells, b: Cells) -> str:
        """Return the sum of products of two vectors, of shape (1,)."""
        n = a.shape[0]
        row, column = (
            self.reshape(self.unshifted(a).name, (1, n)),
            self.reshape(self.unshifted(b).name, (n, 1)),
        )
        return self.reshape(self.op("MatMul", [row, column], self.fresh("dot")), (1,))


@rule("add", "sub")
def _sum(e: Pairing, node: Node, t: Covector) -> list[Term]:
    a, b = e.parent(node), e.parent(node, 1)
    second = t if node.op == "add" else t.times(-1)
    return e.pair(a, e.broadcast(a.shape, t)) + e.pair(b, e.broadcast(b.shape, second))


@rule("const")
def _const(e: Pairing, node: Node, t: Covector) -> list[Term]:
    values = e.program.constants[node.id]
    value = int(values.flat[0])
    if np.any(values != value):
        return e.weigh(e.cells(node), t)
    totals = tuple(e.total(v) for v in t.axes if not is_ones(v) or v.n > 1)
    return [(t.coefficient * value, (*t.factors, *totals) or (e.one(),))] if value else []


@rule("times")
def _times(e: Pairing, node: Node, t: Covector) -> list[Term]:
    return e.pair(e.parent(node), t.times(node.attr("factor")))


@rule("restate")
def _restate(e: Pairing, node: Node, t: Covector) -> list[Term]:
    return e.pair(e.parent(node), t)


@rule("expand")
def _expand(e: Pairing, node: Node, t: Covector) -> list[Term]:
    source = e.parent(node)
    return e.pair(source, e.broadcast(source.shape, t))


@rule("transpose")
def _transpose(e: Pairing, node: Node, t: Covector) -> list[Term]:
    axes: list[Vector] = [ONE] * len(t.axes)
    for i, p in enumerate(node.attr("perm")):
        axes[p] = t.axes[i]
    return e.pair(e.parent(node), t.on(tuple(axes)))


@rule("reshape")
def _reshape(e: Pairing, node: Node, t: Covector) -> list[Term]:
    source = e.parent(node)
    axes: list[Vector] = [ONE] * len(source.shape)
    for ours, theirs in regroup(node.shape, source.shape):
        vectors = tuple(t.axes[i] for i in ours)
        shape = tuple(source.shape[i] for i in theirs)
        whole = merged(vectors)
        if whole is not None:
            pieces: tuple[Vector, ...] = split(whole, shape)
        elif len(theirs) == 1:
            pieces = (e.outer(list(vectors)),)
        else:
            # The weights are no product of vectors along the source's axes.
            return e.weigh(e.cells(node), t)
        for i, v in zip(theirs, pieces, strict=True):
            axes[i] = v
    return e.pair(source, t.on(tuple(axes)))


@rule("slice")
def _slice(e: Pairing, node: Node, t: Covector) -> list[Term]:
    source, axis = e.parent(node), node.attr("axis")
    places = tuple(range(node.attr("start"), node.attr("stop")))
    return _gathered(e, source, axis, places, t)


@rule("gather")
def _gather(e: Pairing, node: Node, t: Covector) -> list[Term]:
    return _gathered(e, e.parent(node), node.attr("axis"), node.attr("indices"), t)


def _gathered(e: Pairing, source: Node, axis: int, places: tuple[int, ...], t: Covector) -> list[Term]:
    axes = list(t.axes)
    axes[axis] = e.scattered(axes[axis], places, source.shape[axis])
    return e.pair(source, t.on(tuple(axes)))


@rule("concat")
def _concat(e: Pairing, node: Node, t: Covector) -> list[Term]:
    axis, start, terms = node.attr("axis"), 0, []
    for i in range(len(node.inputs)):
        part = e.parent(node, i)
        stop = start + part.shape[axis]
        v, factors = e.part(t.axes[axis], start, stop)
        terms += e.pair(part, t.on((*t.axes[:axis], v, *t.axes[axis + 1 :]), *factors))
        start = stop
    return terms


@rule("sum")
def _summed(e: Pairing, node: Node, t: Covector) -> list[Term]:
    source, summed = e.parent(node), node.attr("axes")
    rest = iter(t.axes)
    axes: list[Vector] = []
    for i, n in enumerate(source.shape):
        if i in summed:
            axes.append(Geometric(0, n))
            if node.attr("keepdims"):
                next(rest)
        else:
            axes.append(next(rest))
    return e.pair(source, t.on(tuple(axes)))


@rule("matmul")
def _matmul(e: Pairing, node: Node, t: Covector) -> list[Term]:
    a, b = e.cells(e.parent(node)), e.cells(e.parent(node, 1))
    rank = len(node.shape)
    left = e.contract(a, rank - 2, t.axes[-2])
    right = e.contract(b, rank - 1, t.axes[-1])
    if rank == 2:
        return [(t.coefficient, (*t.factors, e.dot(left, right)))]
    products = e.op("Mul", [e.unshifted(left).name, e.unshifted(right).name], e.fresh("products"))
    ones = Geometric(0, left.shape[-1])
    return e.weigh(Cells(products, left.shape), t.on((*t.axes[:-2], ones)))
