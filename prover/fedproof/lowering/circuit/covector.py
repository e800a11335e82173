"""Random linear functionals of tensors, as products of one vector an axis.

The functional that weighs element i (in row-major order) of a tensor with r**i is such a product: axis a has
the vector (r**(s*i)), s being how far apart neighbours on that axis are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from fedproof.lowering.ir import Shape


@dataclass(frozen=True)
class Geometric:
    """``(r**(stride*i))`` for i < n. Stride 0: ones."""

    stride: int
    n: int


@dataclass(frozen=True)
class Dense:
    """Cells of shape (n,)."""

    name: str
    n: int


Vector = Geometric | Dense
ONE = Geometric(0, 1)


@dataclass(frozen=True)
class Covector:
    """Weights of a tensor's elements: the product of ``axes`` at its indices, of ``factors`` (cells of
    shape (1,)), and of the integer ``coefficient``.
    """

    axes: tuple[Vector, ...]
    coefficient: int = 1
    factors: tuple[str, ...] = ()

    @classmethod
    def row_major(cls, shape: Shape) -> Covector:
        """Return the weights r**i of the i-th element in row-major order."""
        return cls(tuple(Geometric(prod(shape[a + 1 :]), n) for a, n in enumerate(shape)))

    def on(self, axes: tuple[Vector, ...], *factors: str) -> Covector:
        """Return the same weights with other vectors, and more factors."""
        return replace(self, axes=axes, factors=(*self.factors, *factors))

    def times(self, factor: int) -> Covector:
        """Return these weights times an integer."""
        return replace(self, coefficient=self.coefficient * factor)


def regroup(old: Shape, new: Shape) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Split two shapes of one tensor into the shortest runs of axes of equal size; axes of length 1 are
    skipped.
    """
    a = [i for i, n in enumerate(old) if n != 1]
    b = [i for i, n in enumerate(new) if n != 1]
    runs = []
    while a or b:
        left, right = [a.pop(0)], [b.pop(0)]
        while (m := prod(old[i] for i in left)) != (n := prod(new[i] for i in right)):
            if m < n:
                left.append(a.pop(0))
            else:
                right.append(b.pop(0))
        runs.append((tuple(left), tuple(right)))
    return runs


def merged(vectors: tuple[Vector, ...]) -> Geometric | None:
    """Return the one geometric vector that adjacent axes make up, if they do."""
    result = vectors[-1]
    for v in reversed(vectors[:-1]):
        if not isinstance(v, Geometric) or not isinstance(result, Geometric):
            return None
        if v.stride != result.stride * result.n:
            return None
        result = Geometric(result.stride, v.n * result.n)
    return result if isinstance(result, Geometric) else None


def split(vector: Geometric, shape: Shape) -> tuple[Geometric, ...]:
    """Return the vectors of several axes that one geometric vector is made of."""
    return tuple(Geometric(vector.stride * prod(shape[i + 1 :]), n) for i, n in enumerate(shape))
