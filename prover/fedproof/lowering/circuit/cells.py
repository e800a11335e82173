"""Tensors of the circuit as cells: committed ones as they are stored, others computed from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from fedproof.errors import CallerError
from fedproof.lowering.emit import Emitter
from fedproof.lowering.ir import IntArray, Node, Program, Shape

#: Ops that move elements: ezkl rewires cells for them, nothing is paid.
MOVES = frozenset({"transpose", "reshape", "slice", "gather", "expand", "restate"})


def float_summands(value: int) -> list[int]:
    """Return integers that float32 holds exactly, and that add up to ``value``: 24 significant bits each."""
    summands = []
    while value:
        low = (value & -value).bit_length() - 1
        part = value % (1 << (low + 24)) if value > 0 else -(-value % (1 << (low + 24)))
        summands.append(part)
        value -= part
    return summands or [0]


@dataclass(frozen=True)
class Cells:
    """A tensor in the circuit: the value of an element is its cell minus ``shift``."""

    name: str
    shape: Shape
    shift: int = 0


class CellEmitter(Emitter):
    """Computes any node of a program in the circuit, each at most once."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._constants: set[bytes] = set()
        self._cells: dict[int, Cells] = {}
        self._plain: dict[str, Cells] = {}
        self._fresh = 0
        self._written: dict[tuple[str, tuple[str, ...], str], str] = {}
        self._shaped: dict[str, str] = {}
        #: Parts of committed vectors: which, and which places.
        self._origins: dict[str, tuple[str, IntArray]] = {}
        #: Names that must exist as they are: the graph's outputs.
        self._results: set[str] = set()
        self._shifts = program.shifts()
        self._places: dict[int, tuple[str, int]] = {}
        for slot in program.slots:
            start = 0
            for i in slot.nodes:
                self._places[i] = (slot.name, start)
                start += program.nodes[i].size

    def op(self, op_type: str, inputs: Sequence[str], output: str, **attrs: Any) -> str:  # noqa: ANN401
        """Append an ONNX node, unless an equal one is there; return its output's name.

        ezkl's time to read a graph grows faster than its nodes: a reshape of a reshape reads the source.
        """
        inputs = list(inputs)
        if op_type == "Reshape":
            inputs[0] = self._shaped.get(inputs[0], inputs[0])
        key = (op_type, tuple(inputs), repr(sorted(attrs.items())))
        if output in self._results or key not in self._written:
            self._written[key] = super().op(op_type, inputs, output, **attrs)
            if op_type == "Reshape":
                self._shaped[output] = inputs[0]
        return self._written[key]

    def forget(self) -> None:
        """Write nodes again even where equal ones are there: for a part of the graph that comes first."""
        self._written.clear()

    def keep(self, *names: str) -> None:
        """Have tensors of these names written even where an equal one is there."""
        self._results.update(names)

    # -- names and constants ------------------------------------------------------------------------

    def fresh(self, what: str) -> str:
        """Return a name that no other tensor has."""
        self._fresh += 1
        return f"{what}_{self._fresh}"

    def numbers(self, values: IntArray) -> onnx.TensorProto:
        """Integers as float32, which is what ezkl reads; refused where float32 would round."""
        values = np.asarray(values, dtype=np.int64)
        as_float = values.astype(np.float32)
        if not np.array_equal(as_float.astype(np.float64), values.astype(np.float64)):
            bad = values.ravel()[np.flatnonzero(as_float.astype(np.float64) != values)[0]]
            raise CallerError(f"constant {int(bad)} is not exact in float32, through which ezkl reads it")
        return numpy_helper.from_array(as_float)

    def with_constants(self, op: str, x: str, shape: Shape, values: IntArray) -> str:
        """Emit ``x op values`` for a constant of the shape of x that no other operation shares.

        ezkl 23.0.5 merges equal constants, and one with two consumers makes it add range-check
        columns: a step of an MLP then takes about twice as long to prove. To ezkl, vectors of one
        value are equal whatever their length. Where the same constant was used before, the vector
        is longer by an element that makes it another, and that is dropped again. Reshapes and
        gathers are free.
        """
        size = values.size
        flat, vector = self.reshape(x, (size,)), values.ravel()
        more = 0
        while (key := _identity(vector)) in self._constants:
            more += 1
            vector = np.append(values.ravel(), more)
        self._constants.add(key)
        if more:
            flat = self.take(flat, np.append(np.arange(size), 0))
        result = self.op(op, [flat, self.constant(vector)], self.fresh("constant"))
        return self.take(result, np.arange(size).reshape(shape))

    def take(self, x: str, places: IntArray, axis: int = 0) -> str:
        """Gather constant places. ezkl rewires cells for it, where a Slice assigns the whole input anew."""
        return self.op("Gather", [x, self.indices(places)], self.fresh("taken"), axis=axis)

    def joined(self, parts: list[str], length: int, axis: int = 0) -> str:
        """Concatenate to ``length`` elements along ``axis``. The gather behind it is free and
        opaque to ezkl's parser, which would otherwise pull the parts of a matrix product's operand
        apart, and assign the other operand anew for each.
        """
        if len(parts) == 1:
            return parts[0]
        whole = self.op("Concat", parts, self.fresh("concat"), axis=axis)
        return self.take(whole, np.arange(length), axis)

    def reshape(self, x: str, shape: Shape) -> str:
        """Return ``x`` in another shape."""
        return self.op("Reshape", [x, self.indices(shape)], self.fresh("shaped"))

    # -- cells ---------------------------------------------------------------------------------------

    def cells(self, node: Node) -> Cells:
        """Return the cells of a node, computing what they depend on first."""
        if node.id not in self._cells:
            self._cells[node.id] = self._compute(node)
        return self._cells[node.id]

    def values(self, node: Node) -> str:
        """Return cells that hold the values of a node themselves."""
        return self.unshifted(self.cells(node)).name

    def unshifted(self, x: Cells) -> Cells:
        """Return the same tensor without a shift: one addition an element."""
        if not x.shift:
            return x
        if x.name not in self._plain:
            name = x.name
            for part in float_summands(-x.shift):
                name = self.with_constants("Add", name, x.shape, np.full(x.shape, part))
            self._plain[x.name] = Cells(name, x.shape)
        return self._plain[x.name]

    def source(self, node: Node) -> str:
        """Return the part of a committed vector that holds ``node``."""
        slot, start = self._places[node.id]
        places = np.arange(start, start + node.size).reshape(node.shape)
        name = self.take(slot, places)
        self._origins[name] = (slot, places)
        return name

    def _compute(self, node: Node) -> Cells:
        if node.op in ("input", "hint"):
            return Cells(self.source(node), node.shape, self._shifts.get(node.id, 0))
        if node.op == "mul" and (product := self._constant_product(node)):
            return product
        args = [self.cells(self.program.nodes[i]) for i in node.inputs]
        if node.op in MOVES:
            return Cells(self._moved(node, args[0].name), node.shape, args[0].shift)
        if node.op == "const":
            return Cells(self.constants_as_cells(self.program.constants[node.id]), node.shape)
        rule = _LINEAR.get(node.op)
        if rule is not None:
            return rule(self, node, args)
        return Cells(self.emit(node), node.shape)

    def constants_as_cells(self, values: IntArray) -> str:
        """Return cells that hold constants."""
        return self.with_constants("Add", self.zeros(values.shape), values.shape, values)

    def _constant_product(self, node: Node) -> Cells | None:
        """Return a product with a constant tensor, which needs no cells for the constant."""
        a, b = (self.program.nodes[i] for i in node.inputs)
        if a.op == "const":
            a, b = b, a
        if b.op != "const":
            return None
        values = np.broadcast_to(self.program.constants[b.id], node.shape)
        x = self.values(a)
        if a.shape != node.shape:
            places = np.broadcast_to(np.arange(a.size).reshape(a.shape), node.shape)
            x = self.take(self.reshape(x, (a.size,)), places)
        return Cells(self.with_constants("Mul", x, node.shape, values), node.shape)

    def _moved(self, node: Node, x: str) -> str:
        if node.op == "slice":
            return self.take(x, np.arange(node.attr("start"), node.attr("stop")), node.attr("axis"))
        if node.op == "expand":
            source = self.program.nodes[node.inputs[0]]
            places = np.broadcast_to(np.arange(source.size).reshape(source.shape), node.shape)
            return self.take(self.reshape(x, (source.size,)), places)
        return self.operation(node, [x])

    def name(self, node: Node) -> str:
        """Name of the tensor that :meth:`emit` writes for a node."""
        return f"t{node.id}"

    def arguments(self, node: Node) -> list[str]:
        """Values of a node's inputs."""
        return [self.values(self.program.nodes[i]) for i in node.inputs]


def _identity(vector: IntArray) -> bytes:
    """What ezkl tells constants apart by."""
    uniform = bool(np.all(vector == vector[0]))
    return vector[:1].tobytes() if uniform else vector.tobytes()


def _sum_of(e: CellEmitter, node: Node, args: list[Cells]) -> Cells:
    sign = 1 if node.op == "add" else -1
    name = e.op(node.op.capitalize(), [a.name for a in args], e.name(node))
    return Cells(name, node.shape, args[0].shift + sign * args[1].shift)


def _multiple(e: CellEmitter, node: Node, args: list[Cells]) -> Cells:
    factor = int(node.attr("factor"))
    name = e.with_constants("Mul", args[0].name, node.shape, np.full(node.shape, factor, dtype=np.int64))
    return Cells(name, node.shape, args[0].shift * factor)


def _joined(e: CellEmitter, node: Node, args: list[Cells]) -> Cells:
    shifts = {a.shift for a in args}
    if len(shifts) > 1:
        args = [e.unshifted(a) for a in args]
    name = e.joined([a.name for a in args], node.shape[node.attr("axis")], node.attr("axis"))
    return Cells(name, node.shape, args[0].shift)


_LINEAR: dict[str, Callable[[CellEmitter, Node, list[Cells]], Cells]] = {
    "add": _sum_of,
    "sub": _sum_of,
    "times": _multiple,
    "concat": _joined,
}
