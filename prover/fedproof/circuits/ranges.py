"""How much of its range each tensor of a program uses on real batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

from fedproof.circuits.calibration import Case, integers
from fedproof.circuits.layers import name_of
from fedproof.lowering import Program


@dataclass(frozen=True)
class Limit:
    """The integers from ``low`` up to but without ``high`` that the checks of a tensor let through."""

    node: int
    low: int
    high: int


@dataclass(frozen=True)
class Range:
    """What a tensor held, and what it may hold, as real numbers."""

    tensor: str
    layer: str
    least: float
    most: float
    low: float
    high: float

    @property
    def used(self) -> float:
        """Share of the range that is used; above 1 it does not hold."""
        return max(_share(self.least, self.low), _share(self.most, self.high))

    @property
    def spare_bits(self) -> float:
        """By how many bits the range is wider than what was seen."""
        return -log2(self.used) if self.used > 0 else 64.0


def _share(value: float, limit: float) -> float:
    return value / limit if limit and value * limit > 0 else 0.0


def limits(program: Program) -> list[Limit]:
    """Return what limits computed tensors and inputs.

    A remainder fills its range by nature, and so does a limb but the highest: neither is a limit.
    """
    top = 2**program.table_bits
    found: dict[int, Limit] = {}
    for check in program.checks:
        node = program.nodes[check.node]
        if node.op == "hint" and node.attr("kind") == "limb":
            if node.attr("modulus") or node.attr("width"):
                continue
            offset, shift = node.attr("offset"), node.attr("shift")
            limit = Limit(node.inputs[0], -offset, top * 2**shift - offset)
        else:
            limit = Limit(check.node, -check.offset, top - check.offset)
        found[limit.node] = limit
    for lookup in program.functions:
        table = program.tables[lookup.table]
        found[lookup.x] = Limit(lookup.x, table.first, table.first + len(table.values))
    return list(found.values())


def ranges(program: Program, cases: Iterable[Case]) -> list[Range]:
    """Return the range of every limited tensor over all ``cases``, in the program's order.

    Raises :class:`CallerError` where a value is out of range.
    """
    known = sorted(limits(program), key=lambda limit: limit.node)
    seen: dict[int, tuple[int, int]] = {}
    for case in cases:
        values = integers(program, case.inputs)
        for limit in known:
            x = values[limit.node]
            low, high = seen.get(limit.node, (int(x.min()), int(x.max())))
            seen[limit.node] = min(low, int(x.min())), max(high, int(x.max()))
    found = []
    for limit in known:
        node = program.nodes[limit.node]
        unit = 2.0**-node.scale
        low, high = seen.get(limit.node, (0, 0))
        layer, _ = name_of(program, node)
        bounds = (limit.low * unit, limit.high * unit)
        found.append(Range(node.label or node.op, layer, low * unit, high * unit, *bounds))
    return found
