"""Functionals of constants: one number for all elements needs no cells."""

from __future__ import annotations

from fedproof.lowering.circuit.contraction import Term, is_ones
from fedproof.lowering.circuit.covector import Covector
from fedproof.lowering.circuit.pairing import Pairing, rule
from fedproof.lowering.ir import Node


@rule("const")
def _const(e: Pairing, node: Node, t: Covector) -> list[Term]:
    values = e.program.constants[node.id].ravel()
    first = int(values[0])
    if (values != first).any():
        return e.weigh(e.cells(node), t)
    if not first:
        return []
    totals = tuple(e.total(v) for v in t.axes if not is_ones(v) or v.n > 1)
    return [(first * t.coefficient, (*t.factors, *totals) or (e.one(),))]
