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

from fedproof.errors import CallerError
from fedproof.lowering.claims import Check, Equation, FunctionLookup, FunctionTable, Slot
from fedproof.lowering.nodes import FIELD_BOUND, MAX_BOUND, IntArray, Node, Shape, Taps
from fedproof.lowering.table import FIRST
from fedproof.lowering.tensors import Tensors

__all__ = ["FIELD_BOUND", "MAX_BOUND", "IntArray", "Node", "Program", "Shape", "Taps"]


@dataclass
class Program(Tensors):
    """An integer program under construction, or complete: tensors, and what is claimed of them."""

    checks: list[Check] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    tables: list[FunctionTable] = field(default_factory=list)
    functions: list[FunctionLookup] = field(default_factory=list)
    #: For each table the hint that says how often each entry is looked up.
    counts: list[int] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    #: In a segment of a larger program (segments.py): how all of them store what they share.
    fixed_shifts: dict[int, int] | None = None

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
