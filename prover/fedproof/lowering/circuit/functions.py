"""Lookups of functions: y = f(x) for tabulated f, as one equation between sums of fractions.

All tables of a program are one: the entry f(x) = y of table t is the field element e = x + a*y + a**2*t,
a being the challenge. Every lookup is an entry exactly if

    sum over lookups of 1 / (g - e)  =  sum over entries of m / (g - e),

where m, how often an entry is looked up, is committed to (Haböck, "Multivariate lookups based on logarithmic
derivatives", 2022). Nobody divides: fractions are added in pairs, as numerators and denominators, 3 products
and a sum a pair; the equation is multiplied out. With a = r and g = r**K, K above the degree in a, it is an
identity of polynomials in r, false at a random r but for a chance of (degree / field).
"""

from __future__ import annotations

import numpy as np

from fedproof.lowering.circuit.pairing import Pairing
from fedproof.lowering.ir import Node


class Functions(Pairing):
    """Writes the equation of all function lookups."""

    def lookup_equation(self) -> list[tuple[int, tuple[str, ...]]]:
        """Return terms that add up to zero exactly if every lookup is an entry of its table."""
        p = self.program
        entries = sum(len(t.values) for t in p.tables)
        looked_up = sum(p.nodes[f.x].size for f in p.functions)
        # Above the degree in r of every numerator and denominator: each of their factors has degree 2.
        self._gap = 1 << (2 * (entries + looked_up)).bit_length()
        left = self._added(*self._lookups())
        right = self._added(*self._entries())
        return [(1, (left[0], right[1])), (-1, (right[0], left[1]))]

    def _lookups(self) -> tuple[str | None, str, int]:
        p, parts, size = self.program, [], 0
        for f in p.functions:
            x, y = p.nodes[f.x], p.nodes[f.y]
            parts.append(self._factors(self._flat(x), self._flat(y), f.table, x.size))
            size += x.size
        return None, self.joined(parts, size), size

    def _entries(self) -> tuple[str | None, str, int]:
        p, parts, counts, size = self.program, [], [], 0
        for i, table in enumerate(p.tables):
            n = len(table.values)
            x, y = np.arange(table.first, table.first + n), np.array(table.values)
            point = self.with_constants("Sub", self._point(i, n), (n,), x)
            scaled = self.with_constants("Mul", self._repeated(self.power(1), n), (n,), y)
            parts.append(self.op("Sub", [point, scaled], self.fresh("factor")))
            counts.append(self._flat(p.nodes[p.counts[i]]))
            size += n
        return self.joined(counts, size), self.joined(parts, size), size

    def _flat(self, node: Node) -> str:
        return self.reshape(self.values(node), (node.size,))

    def _repeated(self, x: str, n: int) -> str:
        return self.take(x, np.zeros(n, dtype=np.int64))

    def _point(self, table: int, n: int) -> str:
        """``g - a**2*table``, n times."""
        g = self.power(self._gap)
        if table:
            offset = self.op("Mul", [self.power(2), self.scalar(table)], self.fresh("offset"))
            g = self.op("Sub", [g, offset], self.fresh("point"))
        return self._repeated(g, n)

    def _factors(self, x: str, y: str, table: int, n: int) -> str:
        """``g - (x + a*y + a**2*table)`` elementwise: 3 cells an element."""
        scaled = self.op("Mul", [y, self._repeated(self.power(1), n)], self.fresh("scaled"))
        entry = self.op("Add", [x, scaled], self.fresh("entry"))
        return self.op("Sub", [self._point(table, n), entry], self.fresh("factor"))

    def _added(self, numerators: str | None, denominators: str, n: int) -> tuple[str, str]:
        """Return numerator and denominator of a sum of fractions; None stands for numerators of 1."""
        while n > 1:
            half = n // 2
            a, b = (self.take(denominators, np.arange(i, 2 * half, 2)) for i in (0, 1))
            if numerators is None:
                upper = self.op("Add", [a, b], self.fresh("upper"))
            else:
                u, v = (self.take(numerators, np.arange(i, 2 * half, 2)) for i in (0, 1))
                crossed = [self.op("Mul", [s, t], self.fresh("cross")) for s, t in ((u, b), (v, a))]
                upper = self.op("Add", crossed, self.fresh("upper"))
            lower = self.op("Mul", [a, b], self.fresh("lower"))
            if n % 2:
                last = self.take(denominators, np.array([n - 1]))
                top = self.one() if numerators is None else self.take(numerators, np.array([n - 1]))
                upper, lower = self.joined([upper, top], half + 1), self.joined([lower, last], half + 1)
            numerators, denominators, n = upper, lower, half + n % 2
        return (self.one() if numerators is None else numerators), denominators
