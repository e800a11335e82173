"""Cells of a circuit, counted without ezkl, and what each of them is for.

ezkl 23.0.5 assigns one cell an element of an input, of the result of an elementwise operation or a lookup,
and of what a sum or a matrix product runs over; a sum starts and ends with a row, so that what is left of its
last row counts as well. Moves rewire cells. The total is its ``total_assignments``, to half a percent
(docs/circuit-costs.md).
"""

from __future__ import annotations

from collections import Counter
from math import prod

import onnx

from fedproof.lowering.circuit.graph import attributed_graph
from fedproof.lowering.circuit.purposes import Purpose
from fedproof.lowering.ir import Program, Shape

#: One cell an element of the result.
ELEMENTWISE = frozenset({"Add", "Sub", "Mul", "Pow"})
#: No cells.
MOVES = frozenset({"Concat", "Expand", "Gather", "Identity", "Reshape", "Slice", "Transpose"})


class CellCounter:
    """Counts the cells of one program's circuit, for any number of columns."""

    def __init__(self, program: Program) -> None:
        graph, purposes = attributed_graph(program)
        shapes = _shapes(graph)
        self._lookups = [(c.node, program.nodes[c.node].size) for c in program.checks]
        self._inputs: Counter[Purpose] = Counter()
        for slot in program.slots:
            for i in slot.nodes:
                self._inputs[Purpose("committed", i)] += program.nodes[i].size
            self._inputs[Purpose("committed")] += slot.salt
        self._inputs[Purpose("committed")] += program.late_size
        #: Sums as (purpose, how many, of how many elements each), elementwise operations as sums of one.
        self._sums: list[tuple[Purpose, int, int]] = []
        self._elements: Counter[Purpose] = Counter()
        for node in graph.graph.node:
            sharers, results = purposes[node.output[0]], prod(shapes[node.output[0]])
            if node.op_type in ELEMENTWISE:
                for purpose in sharers:
                    self._elements[purpose] += results // len(sharers)
            elif node.op_type in ("ReduceSum", "MatMul"):
                summed = prod(shapes[node.input[0]])
                n = summed // results if node.op_type == "ReduceSum" else shapes[node.input[0]][-1]
                self._sums += [(purpose, results // len(sharers), n) for purpose in sharers]
            elif node.op_type not in MOVES:
                raise AssertionError(f"lowering bug: no count of cells for {node.op_type}")

    def by_purpose(self, columns: int = 1) -> Counter[Purpose]:
        """Return the cells by purpose, laid out in ``columns`` (num_inner_cols)."""
        counted = self._inputs + self._elements
        for purpose, results, n in self._sums:
            counted[purpose] += results * -(-n // columns) * columns
        # What all lookups share is two cells for each.
        shared, lookups = counted.pop(Purpose("lookups"), 0), sum(n for _, n in self._lookups)
        for node, size in self._lookups:
            counted[Purpose("lookups", node)] += shared * size // lookups
        return counted

    def total(self, columns: int = 1) -> int:
        """Return the number of cells, laid out in ``columns``."""
        return sum(self.by_purpose(columns).values())


def count_cells(program: Program, columns: int = 1) -> int:
    """Return the number of cells of the program's circuit, laid out in ``columns`` (num_inner_cols)."""
    return CellCounter(program).total(columns)


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    found = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
    found |= {t.name: tuple(t.dims) for t in inferred.initializer}
    return found
