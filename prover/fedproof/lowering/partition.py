"""Which claims go together: a partition in topological order into parts of about equal size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from fedproof.errors import CallerError
from fedproof.lowering.claims import Check, Equation, FunctionLookup
from fedproof.lowering.ir import Program

Claim = Check | Equation | FunctionLookup

#: Places to cut at that are tried, spread over the claims: all pairs of them are weighed.
PLACES = 160
#: A part may be larger than it must by this much, if less lies in several parts.
SLACK = 1.05
#: Cells of a lookup of a range, of a function lookup and of a table's entry, an element.
RANGE, LOOKUP, ENTRY = 2, 6, 8


@dataclass(frozen=True)
class CommittedClaim:
    """A claim with what it costs alone.

    ``leaves`` are the committed tensors it speaks of, ``products`` the elementwise products that are computed
    for it, ``cells`` what it costs besides. ``position`` orders claims as the computation goes.
    """

    claim: Claim
    position: int
    leaves: frozenset[int]
    products: frozenset[int]
    cells: int


def committed_claims(p: Program) -> list[CommittedClaim]:
    """Return all claims, in topological order."""
    reached = _reach(p)
    when = _positions(p)
    found = []
    claims: list[Claim] = [*p.checks, *p.equations, *p.functions]
    for claim in claims:
        match claim:
            case Check():
                ids, cells = [claim.node], RANGE * p.nodes[claim.node].size
            case Equation():
                ids, cells = [i for _, i in claim.terms], 0
            case FunctionLookup():
                ids, cells = [claim.x, claim.y], LOOKUP * p.nodes[claim.x].size
        leaves = frozenset().union(*(reached[i][0] for i in ids))
        if isinstance(claim, Equation):
            cells += sum(p.nodes[i].size for i in leaves)
        products = frozenset().union(*(reached[i][1] for i in ids))
        position = max((when[i] for i in leaves), default=0)
        found.append(CommittedClaim(claim, position, leaves, products, cells))
    return sorted(found, key=lambda c: c.position)


def _reach(p: Program) -> list[tuple[frozenset[int], frozenset[int]]]:
    """Of each node the committed tensors and the products it is computed from."""
    reached: list[tuple[frozenset[int], frozenset[int]]] = []
    for node in p.nodes:
        if node.op in ("input", "hint"):
            reached.append((frozenset([node.id]), frozenset()))
            continue
        own = frozenset([node.id]) if node.op in ("mul", "field_mul") else frozenset()
        reached.append(
            (
                frozenset().union(*(reached[i][0] for i in node.inputs)),
                own.union(*(reached[i][1] for i in node.inputs)),
            )
        )
    return reached


def _positions(p: Program) -> dict[int, int]:
    """When a committed tensor comes up: an input that lies beside hints comes up with the first of them."""
    when = {n.id: n.id for n in p.nodes}
    for slot in p.slots:
        hints = [i for i in slot.nodes if p.nodes[i].op == "hint"]
        if hints:
            when |= {i: min(hints) for i in slot.nodes if p.nodes[i].op == "input"}
    return when


class _Sizes:
    """Cells of the claims between two places."""

    def __init__(self, p: Program, claims: Sequence[CommittedClaim]) -> None:
        self.p, self.claims = p, claims
        self.named = {i: s for s in p.slots if s.name != "advice" for i in s.nodes}

    def upto(self, start: int, stops: Sequence[int]) -> list[float]:
        """Cells of claims ``start:stop`` for each stop, ascending; infinite where they make no circuit."""
        p, sizes = self.p, []
        leaves: set[int] = set()
        products: set[int] = set()
        slots: set[str] = set()
        tables: set[int] = set()
        total, checked, equated, at = 1, False, False, start
        for stop in stops:
            for c in self.claims[at:stop]:
                total += c.cells
                checked |= isinstance(c.claim, Check)
                equated |= not isinstance(c.claim, Check)
                if isinstance(c.claim, FunctionLookup) and c.claim.table not in tables:
                    tables.add(c.claim.table)
                    total += ENTRY * len(p.tables[c.claim.table].values)
                total += sum(p.nodes[i].size for i in c.products - products)
                products |= c.products
                for i in c.leaves - leaves:
                    slot = self.named.get(i)
                    if slot is None:
                        total += p.nodes[i].size
                    elif slot.name not in slots:
                        slots.add(slot.name)
                        total += p.slot_size(slot)
                leaves |= c.leaves
            at = stop
            sizes.append(total if checked and equated else inf)
        return sizes


def partition(p: Program, claims: Sequence[CommittedClaim], count: int) -> list[list[CommittedClaim]]:
    """Cut ``claims`` at ``count - 1`` places so that the largest part is small, then all together.

    What lies in several parts counts in each. Raises :class:`CallerError` where no such cut exists.
    """
    m = len(claims)
    every = max(1, -(-m // PLACES))
    ends = sorted({*range(0, m, every), m})
    sizes = _Sizes(p, claims)
    cells = [sizes.upto(a, ends[i + 1 :]) for i, a in enumerate(ends)]

    def size(i: int, j: int) -> float:
        return cells[i][j - i - 1]

    n = len(ends)
    largest = _best(n, count, size, max)[0]
    if largest == inf:
        raise CallerError(
            f"{m} claims cannot be cut into {count} segments with a range check and an equation each",
            hint="choose fewer segments",
        )
    cap = largest * SLACK
    _, places = _best(n, count, lambda i, j: s if (s := size(i, j)) <= cap else inf, lambda a, b: a + b)
    return [list(claims[ends[a] : ends[b]]) for a, b in pairwise(places)]


def _best(
    n: int, count: int, size: Callable[[int, int], float], joined: Callable[[float, float], float]
) -> tuple[float, list[int]]:
    """Return the smallest value of a partition of places 0..n-1 into ``count`` parts, and its places."""
    value: list[list[float]] = [[inf] * n for _ in range(count + 1)]
    came: list[list[int]] = [[0] * n for _ in range(count + 1)]
    value[0][0] = 0.0
    for k in range(1, count + 1):
        for j in range(k, n):
            for i in range(k - 1, j):
                if value[k - 1][i] < inf and (v := joined(value[k - 1][i], size(i, j))) < value[k][j]:
                    value[k][j], came[k][j] = v, i
    places = [n - 1]
    for k in range(count, 0, -1):
        places.append(came[k][places[-1]])
    return value[count][n - 1], places[::-1]
