"""Which claims go together: a partition in topological order into parts of about equal size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from fedproof.errors import CallerError
from fedproof.lowering.circuit.counting import CellCounter
from fedproof.lowering.circuit.purposes import Purpose
from fedproof.lowering.claims import Check, Equation, FunctionLookup
from fedproof.lowering.ir import Program

Claim = Check | Equation | FunctionLookup

#: Places to cut at that are tried, spread over the claims: all pairs of them are weighed.
PLACES = 160
#: A part may be larger than it must by this much, if less lies in several parts.
SLACK = 1.05
#: Cells of a function lookup and of a table's entry, an element.
LOOKUP, ENTRY = 6, 8
#: Claims by their places among all checks, equations and function lookups of a program.
Part = tuple[int, ...]


def all_claims(p: Program) -> list[Claim]:
    """Return all claims: what a :data:`Part` counts."""
    return [*p.checks, *p.equations, *p.functions]


@dataclass(frozen=True)
class CommittedClaim:
    """Claim number ``index`` with what it costs alone.

    ``leaves`` are the committed tensors it speaks of; ``cells`` is what it costs besides them. ``position``
    orders claims as the computation goes.
    """

    index: int
    claim: Claim
    position: int
    leaves: frozenset[int]
    cells: int


def leaves_of(p: Program) -> list[frozenset[int]]:
    """Of each claim, as :func:`all_claims` lists them, the committed tensors it speaks of."""
    reached = _reach(p)
    found = []
    for claim in all_claims(p):
        match claim:
            case Check():
                ids = [claim.node]
            case Equation():
                ids = [i for _, i in claim.terms]
            case FunctionLookup():
                ids = [claim.x, claim.y]
        found.append(frozenset().union(*(reached[i] for i in ids)))
    return found


def _committed_claims(p: Program) -> list[CommittedClaim]:
    """Return all claims, in topological order, with the cells that the whole circuit has for each."""
    counted = CellCounter(p).by_purpose()
    # Equations of one purpose share its cells.
    purposes = [_purpose(claim) for claim in all_claims(p)]
    shares = Counter(purposes)
    when = _positions(p)
    found = []
    for i, (claim, leaves) in enumerate(zip(all_claims(p), leaves_of(p), strict=True)):
        if isinstance(claim, FunctionLookup):
            cells = LOOKUP * p.nodes[claim.x].size
        else:
            cells = counted[purposes[i]] // shares[purposes[i]]
        found.append(CommittedClaim(i, claim, max((when[n] for n in leaves), default=0), leaves, cells))
    return sorted(found, key=lambda c: (c.position, c.index))


def _purpose(claim: Claim) -> Purpose:
    match claim:
        case Check():
            return Purpose("lookups", claim.node)
        case Equation():
            return Purpose("equations", max(i for _, i in claim.terms))
        case FunctionLookup():
            return Purpose("functions", claim.y)


def _reach(p: Program) -> list[frozenset[int]]:
    """Of each node the committed tensors that it is computed from."""
    reached: list[frozenset[int]] = []
    for node in p.nodes:
        if node.op in ("input", "hint"):
            reached.append(frozenset([node.id]))
        else:
            reached.append(frozenset().union(*(reached[i] for i in node.inputs)))
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


def partition(p: Program, count: int) -> tuple[Part, ...]:
    """Cut the claims of ``p``, in topological order, at ``count - 1`` places.

    The largest part is as small as it can be, then all together are: what several commit to counts in each.
    Raises :class:`CallerError` where no such cut exists.
    """
    if count == 1:
        return (tuple(range(len(all_claims(p)))),)
    claims = _committed_claims(p)
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
    return tuple(tuple(sorted(c.index for c in claims[ends[a] : ends[b]])) for a, b in pairwise(places))


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
