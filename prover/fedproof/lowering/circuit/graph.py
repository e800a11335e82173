"""The circuit graph: the program over the field, for ezkl at scale 0.

Inputs are the committed vectors (slots); declared inputs and hints are parts of them. All range checks
become one lookup: the checked tensors, shifted into place, go through a table op that maps the range to 1
and anything else in the table to 0. All equations become one sum: equation j, element i, with the weight
r**((j+1)*2**b + i). The number of good lookups plus that sum is the first public output, a known number;
the challenge r is the other. The lookups do not depend on r and every weight has r as a factor, so both
must be right, but for a chance of one in 2**200.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import fedproof.lowering.circuit.constants
import fedproof.lowering.circuit.convolution  # noqa: F401 - registers its rule
from fedproof.lowering.circuit.cells import float_summands
from fedproof.lowering.circuit.contraction import Deferred, Factor, Group, Term
from fedproof.lowering.circuit.covector import Covector
from fedproof.lowering.circuit.functions import Functions
from fedproof.lowering.circuit.powers import CHALLENGE, LATE
from fedproof.lowering.circuit.purposes import Purpose
from fedproof.lowering.emit import FLOAT
from fedproof.lowering.ir import IntArray, Node, Program, Shape
from fedproof.lowering.table import FIRST, exponent

LOOKUPS = "lookups"


class CircuitEmitter(Functions):
    """Writes the claims of a program, and notes which of them each operation is for."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        #: What each operation is for; several, where it serves them in equal parts.
        self.purposes: dict[str, tuple[Purpose, ...]] = {}

    def op(self, op_type: str, inputs: Sequence[str], output: str, **attrs: Any) -> str:  # noqa: ANN401
        """Append an ONNX node and note its purpose; return its output's name."""
        self.purposes[output] = self._sharers or (self._purpose,)
        return super().op(op_type, inputs, output, **attrs)

    def lookups(self) -> str:
        """Emit all range checks; return the name of their sum, of shape (1,)."""
        parts: list[str] = []
        for check in self.program.checks:
            node = self.program.nodes[check.node]
            self._purpose = Purpose("lookups", node.id)
            cells = self.cells(node)
            excess = check.offset + FIRST - cells.shift
            flat = self.reshape(cells.name, (node.size,))
            for part in float_summands(excess) if excess else ():
                flat = self.with_constants("Add", flat, (node.size,), np.full(node.size, part))
            parts.append(flat)
        self._purpose = Purpose("lookups")
        joined = self.op("Concat", parts, "checked", axis=0) if len(parts) > 1 else parts[0]
        power = numpy_helper.from_array(
            np.array(exponent(self.program.table_bits), dtype=np.float32), "exponent"
        )
        self.initializers[power.name] = power
        table = self.op("Pow", [joined, power.name], "looked_up")
        return self.op("ReduceSum", [table, self.indices([0])], self.fresh("lookups"), keepdims=1)

    def residual(self) -> str:
        """Emit all equations; return the name of their weighted sum, of shape (1,)."""
        nodes = self.program.nodes
        equations = self.program.equations
        largest = max((nodes[e.terms[0][1]].size for e in equations), default=1)
        stride = 1 << largest.bit_length()
        self._purpose = Purpose("equations")
        weights = self.geometric(stride, len(equations) + 2)
        terms: list[tuple[int, Term]] = []
        for j, equation in enumerate(equations):
            self._purpose = Purpose("equations", max(i for _, i in equation.terms))
            t = Covector.row_major(nodes[equation.terms[0][1]].shape)
            for coefficient, i in equation.terms:
                terms += [(j, term) for term in self.pair(nodes[i], t.times(coefficient))]
            if equation.constant:
                totals = tuple(self.total(v) for v in t.axes if v.n > 1)
                terms.append((j, (equation.constant, totals or (self.one(),))))
        # Last: its degree in r is not bounded by the stride, so its weight must exceed all others.
        self._purpose = Purpose("functions")
        if self.program.functions:
            terms += [(len(equations), term) for term in self.lookup_equation()]
        self._purpose = Purpose("equations")
        self.close_groups()
        return self._weighted(terms, weights)

    def _weighted(self, terms: list[tuple[int, Term]], weights: str) -> str:
        scalars, index = self._scalars_of([factors for _, (_, factors) in terms])
        # A coefficient that float32 cannot hold is a sum of such that it can.
        parts = [(i, part) for i, (_, (c, _)) in enumerate(terms) for part in float_summands(c)]
        n = len(parts)
        column = self.take(scalars, np.array([index[i] for i, _ in parts]))
        scaled = self._scaled(column, np.array([c for _, c in parts], dtype=object))
        by_equation = self.take(weights, np.array([terms[i][0] + 1 for i, _ in parts]))
        row, upright = self.reshape(scaled, (1, n)), self.reshape(by_equation, (n, 1))
        return self.reshape(self.op("MatMul", [row, upright], self.fresh("residual")), (1,))

    def _scalars_of(self, products: list[tuple[Factor, ...]]) -> tuple[str, list[int]]:
        """Return a vector that holds all products, and where in it each is."""
        parts: list[str] = []
        starts: dict[Group, int] = {}
        places: list[int] = []
        size = 0
        for factors in products:
            factor = factors[0] if len(factors) == 1 else None
            if isinstance(factor, Deferred):
                if factor.group not in starts:
                    starts[factor.group] = size
                    parts.append(self._sums[factor.group])
                    size += len(self._groups[factor.group])
                places.append(starts[factor.group] + factor.index)
            else:
                parts.append(self._product(tuple(self.scalar_of(f) for f in factors)))
                places.append(size)
                size += 1
        return self.joined(parts, size), places

    def _product(self, factors: tuple[str, ...]) -> str:
        name, *others = factors or (self.one(),)
        for other in others:
            name = self.op("Mul", [name, other], self.fresh("product"))
        return name

    def _scaled(self, column: str, coefficients: IntArray) -> str:
        """Multiply by integers of any size: odd part and power of two are separate constants."""
        n = len(coefficients)
        odd, exponents = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        for i, c in enumerate(coefficients):
            e = (int(c) & -int(c)).bit_length() - 1
            odd[i], exponents[i] = int(c) >> e, e
        result = self.with_constants("Mul", column, (n,), odd)
        while exponents.any():
            step = np.minimum(exponents, 40)
            result = self.with_constants("Mul", result, (n,), np.int64(1) << step)
            exponents = exponents - step
        return result


def exposed(program: Program) -> list[Node]:
    """Return the nodes whose values the circuit holds in cells that a test can look at."""
    return [n for n in program.nodes if n.op not in {"restate", "const", "field_mul"}]


def circuit_graph(program: Program, *, expose: bool = False) -> onnx.ModelProto:
    """Return the ONNX graph that ezkl compiles, see :func:`attributed_graph`."""
    return attributed_graph(program, expose=expose)[0]


def attributed_graph(
    program: Program, *, expose: bool = False
) -> tuple[onnx.ModelProto, dict[str, tuple[Purpose, ...]]]:
    """Return the ONNX graph that ezkl compiles: one input a slot, then the challenge's; and what each of its
    nodes is for, by the name of its output.

    Its outputs are the number of lookups and the challenge. ``expose`` adds the values of the tensors of
    :func:`exposed`, for tests that compare them with the reference.
    """
    emitter = CircuitEmitter(program)
    emitter.keep(LOOKUPS, CHALLENGE)
    total = emitter.lookups()
    names = [LOOKUPS]
    if program.challenged:
        emitter.op("Add", [total, emitter.residual()], LOOKUPS)
        emitter.op("Identity", [emitter.challenge()], CHALLENGE)
        names.append(CHALLENGE)
    else:
        emitter.op("Identity", [total], LOOKUPS)
    inputs: list[tuple[str, Shape]] = [(s.name, (program.slot_size(s),)) for s in program.slots]
    if program.challenged:
        inputs.append((LATE, (program.late_size,)))
    outputs: list[tuple[str, Shape]] = [(name, (1,)) for name in names]
    if expose:
        outputs += [(emitter.values(n), n.shape) for n in exposed(program)]
    if program.challenged:
        head = emitter.constant_pool()
        emitter.nodes = head + emitter.nodes
    model = emitter.model(
        "circuit",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs],
    )
    return model, emitter.purposes
