"""Cells of a circuit, counted without ezkl, and what each of them is for.

ezkl 23.0.5 assigns one cell an element of an input, of the result of an elementwise operation or a lookup,
and of what a sum or a matrix product runs over; a sum starts and ends with a row, so that what is left of its
last row counts as well. Moves rewire cells. The total is its ``total_assignments``, up to a few operations
that it finds to be equal (docs/circuit-costs.md).
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


def count_cells(program: Program, columns: int = 1) -> Counter[Purpose]:
    """Return the cells of the program's circuit by purpose, laid out in ``columns`` (num_inner_cols)."""
    graph, purposes = attributed_graph(program)
    counted: Counter[Purpose] = Counter()
    for slot in program.slots:
        for i in slot.nodes:
            counted[Purpose("committed", i)] += program.nodes[i].size
        counted[Purpose("committed")] += slot.salt
    counted[Purpose("committed")] += program.late_size
    shapes = _shapes(graph)
    for node in graph.graph.node:
        counted[purposes[node.output[0]]] += _cells(node, shapes, columns)
    # What all lookups share is two cells for each.
    shared = counted.pop(Purpose("lookups"), 0)
    for check in program.checks:
        size = program.nodes[check.node].size
        counted[Purpose("lookups", check.node)] += shared * size // program.lookups
    return Counter({purpose: n for purpose, n in counted.items() if n})


def _cells(node: onnx.NodeProto, shapes: dict[str, Shape], columns: int) -> int:
    if node.op_type in MOVES:
        return 0
    if node.op_type in ELEMENTWISE:
        return prod(shapes[node.output[0]])
    results = prod(shapes[node.output[0]])
    if node.op_type == "ReduceSum":
        return results * _whole_rows(prod(shapes[node.input[0]]) // results, columns)
    if node.op_type == "MatMul":
        return results * _whole_rows(shapes[node.input[0]][-1], columns)
    raise AssertionError(f"lowering bug: no count of cells for {node.op_type}")


def _whole_rows(n: int, columns: int) -> int:
    return -(-n // columns) * columns


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    found = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
    found |= {t.name: tuple(t.dims) for t in inferred.initializer}
    return found
