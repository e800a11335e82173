"""The circuit graph: the program over the field, for ezkl at scale 0.

Inputs are the committed vectors (slots); declared inputs and hints are slices of them. All range checks
become one lookup: the checked tensors, shifted into place, go through a table op that maps the range to 1 and
anything else in the table to 0, and the sum of the results, a known number, is the one public output.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fedproof.errors import CallerError
from fedproof.lowering.emit import FLOAT, Emitter
from fedproof.lowering.ir import IntArray, Node, Program
from fedproof.lowering.table import FIRST, exponent


class CircuitEmitter(Emitter):
    """Inputs and hints are slices of the committed vectors."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.factors: set[tuple[int, int]] = set()
        self.places: dict[int, tuple[str, int]] = {}
        for slot in program.slots:
            start = 0
            for i in slot.nodes:
                self.places[i] = (slot.name, start)
                start += program.nodes[i].size

    def numbers(self, values: IntArray) -> onnx.TensorProto:
        """Integers as float32, which is what ezkl reads; refused where float32 would round."""
        values = np.asarray(values, dtype=np.int64)
        as_float = values.astype(np.float32)
        if not np.array_equal(as_float.astype(np.float64), values.astype(np.float64)):
            bad = values.ravel()[np.flatnonzero(as_float.astype(np.float64) != values)[0]]
            raise CallerError(f"constant {int(bad)} is not exact in float32, through which ezkl reads it")
        return numpy_helper.from_array(as_float)

    def source(self, node: Node) -> str:
        """Return the part of a committed vector that holds ``node``."""
        slot, start = self.places[node.id]
        return self.take(slot, np.arange(start, start + node.size).reshape(node.shape), 0, self.name(node))

    def slice(self, x: str, node: Node) -> str:
        """Return a slice as a gather."""
        return self.take(
            x, np.arange(node.attr("start"), node.attr("stop")), node.attr("axis"), self.name(node)
        )

    def times(self, x: str, node: Node) -> str:
        """Emit a product with a constant factor, as a constant vector that no other product shares.

        ezkl 23.0.5 merges equal constants, and one with two consumers makes it add range-check columns: a
        step of an MLP then takes about twice as long to prove. Where a factor was used at this
        length before, the vector is longer by a repeated element, which is dropped again. Reshapes and
        gathers are free.
        """
        out = self.name(node)
        factor, size = int(node.attr("factor")), node.size
        while (factor, size) in self.factors:
            size += 1
        self.factors.add((factor, size))
        flat = self.op("Reshape", [x, self.indices([node.size])], f"{out}_flat")
        if size > node.size:
            flat = self.take(flat, np.arange(size) % node.size, 0, f"{out}_longer")
        constant = self.constant(np.full(size, factor, dtype=np.int64))
        product = self.op("Mul", [flat, constant], f"{out}_product")
        return self.take(product, np.arange(node.size).reshape(node.shape), 0, out)

    def take(self, x: str, places: IntArray, axis: int, out: str) -> str:
        """Gather constant places. ezkl rewires cells for it, where a Slice assigns the whole input anew."""
        return self.op("Gather", [x, self.indices(places)], out, axis=axis)

    def lookups(self) -> str:
        """Emit all range checks; return the name of their sum, of shape (1,)."""
        parts: list[str] = []
        offsets: list[IntArray] = []
        for k, check in enumerate(self.program.checks):
            node = self.program.nodes[check.node]
            parts.append(self.op("Reshape", [self.name(node), self.indices([node.size])], f"check{k}"))
            offsets.append(np.full(node.size, check.offset + FIRST, dtype=np.int64))
        joined = self._join(parts, "checked")
        shifted = self.op("Add", [joined, self.constant(np.concatenate(offsets))], "in_place")
        power = numpy_helper.from_array(
            np.array(exponent(self.program.table_bits), dtype=np.float32), "exponent"
        )
        self.initializers[power.name] = power
        table = self.op("Pow", [shifted, power.name], "looked_up")
        return self.op("ReduceSum", [table, self.indices([0])], "lookups", keepdims=1)

    def _join(self, parts: list[str], out: str) -> str:
        return self.op("Concat", parts, out, axis=0) if len(parts) > 1 else parts[0]


def exposed(program: Program) -> list[Node]:
    """Return the nodes with a tensor of their own in ezkl, which merges a restated one with its source."""
    return [n for n in program.nodes if n.op not in {"restate", "const"}]


def circuit_graph(program: Program, *, expose: bool = False) -> onnx.ModelProto:
    """Return the ONNX graph that ezkl compiles: one input a slot, the number of lookups out.

    ``expose`` adds the tensors of :func:`exposed` as outputs, for tests that compare them with the reference.
    """
    emitter = CircuitEmitter(program)
    for node in program.nodes:
        emitter.emit(node)
    emitter.lookups()
    inputs = [helper.make_tensor_value_info(s.name, FLOAT, [program.slot_size(s)]) for s in program.slots]
    outputs = [helper.make_tensor_value_info("lookups", FLOAT, [1])]
    if expose:
        outputs += [helper.make_tensor_value_info(emitter.name(n), FLOAT, n.shape) for n in exposed(program)]
    return emitter.model("circuit", inputs, outputs)
