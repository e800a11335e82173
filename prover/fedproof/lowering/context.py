"""What an op lowering works with: the program, the values so far, and the policy for scales."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor, log2
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fedproof.errors import CallerError
from fedproof.lowering.gadgets import quantize
from fedproof.lowering.ir import Node, Shape
from fedproof.lowering.origins import origin_of
from fedproof.lowering.scales import Scales

#: Ops of one operand that a rescale may be moved behind.


def place(node: onnx.NodeProto) -> str:
    """Where in the user's code a float node comes from, as far as its metadata say; else an empty text."""
    return origin_of(node).place


def op_name(node: onnx.NodeProto) -> str:
    """Key of a node's op among the lowerings: its type, after ``domain::`` where it is not ONNX's own."""
    own = node.domain in ("", "ai.onnx")
    return str(node.op_type) if own else f"{node.domain}::{node.op_type}"


class UnsupportedOp(CallerError):
    """A node of the float graph has no exact integer meaning here."""

    def __init__(self, node: onnx.NodeProto, reason: str) -> None:
        name = node.name or (node.output[0] if node.output else "?")
        supported = ", ".join(sorted(REGISTRY))
        at = f"{where}: " if (where := place(node)) else ""
        super().__init__(
            f"{at}cannot lower node {name!r} ({op_name(node)}): {reason}", hint=f"supported ops: {supported}"
        )
        self.node_name = name
        self.op_type = node.op_type


@dataclass(frozen=True)
class Constant:
    """A constant of the float graph, not yet quantised."""

    values: NDArray[Any]

    @property
    def uniform(self) -> float | None:
        """The one value of all elements, if there is one."""
        flat = self.values.ravel()
        return float(flat[0]) if flat.size and bool(np.all(flat == flat[0])) else None


@dataclass(frozen=True)
class Predicate:
    """A comparison: true where ``mask`` is 1, or, negated, where it is 0."""

    mask: Node
    negated: bool


@dataclass(frozen=True)
class Joined:
    """Tensors side by side along ``axis``, each at its own scale, so that each is rescaled by its own."""

    parts: tuple[Node, ...]
    axis: int


Value = Node | Constant | Predicate | Joined


@dataclass
class Context(Scales):
    """Lowering of one graph in progress."""

    values: dict[str, Value] = field(default_factory=dict)
    #: How many nodes of the float graph read each of its tensors.
    readers: Counter[str] = field(default_factory=Counter)
    #: Comparisons made, by tensor and threshold: the mask, and what it leaves of the tensor.
    masks: dict[tuple[int, bytes], tuple[Node, Node]] = field(default_factory=dict)

    def tensor(self, node: onnx.NodeProto, i: int) -> Node:
        """Input ``i`` of a float node, which must be a computed tensor."""
        value = self.values[node.input[i]]
        if isinstance(value, Node):
            return value
        if isinstance(value, Joined):
            return self.materialise(value)
        raise UnsupportedOp(
            node, f"input {node.input[i]!r} is a {type(value).__name__.lower()}, not a tensor"
        )

    def constant(self, node: onnx.NodeProto, i: int) -> NDArray[Any]:
        """Input ``i`` of a float node, which must be a constant."""
        value = self.values[node.input[i]]
        if isinstance(value, Constant):
            return value.values
        raise UnsupportedOp(node, f"input {node.input[i]!r} must be a constant")

    def uniform(self, node: onnx.NodeProto, i: int, shape: Shape) -> float | None:
        """Return the one value of constant input ``i``, if it has one; it may not enlarge ``shape``."""
        constant = Constant(self.constant(node, i))
        self.demand_shape(node, constant, shape)
        return constant.uniform

    def demand_shape(self, node: onnx.NodeProto, c: Constant, shape: Shape) -> None:
        """Raise :class:`UnsupportedOp` if a constant would broadcast ``shape`` to a larger one."""
        try:
            larger = np.broadcast_shapes(c.values.shape, shape) != shape
        except ValueError as e:
            raise UnsupportedOp(node, f"shapes {shape} and {c.values.shape} do not broadcast") from e
        if larger:
            raise UnsupportedOp(
                node, f"a constant of shape {c.values.shape} broadcasts a tensor of shape {shape}"
            )

    def broadcast(self, node: onnx.NodeProto, *values: Node | Constant) -> Shape:
        """Return the shape that values broadcast to. Raises :class:`UnsupportedOp` if they do not."""
        shapes = [v.shape if isinstance(v, Node) else v.values.shape for v in values]
        try:
            return tuple(np.broadcast_shapes(*shapes))
        except ValueError as e:
            raise UnsupportedOp(node, f"shapes {' and '.join(map(str, shapes))} do not broadcast") from e

    def align(self, a: Node, b: Node) -> tuple[Node, Node]:
        """Return ``a`` and ``b`` at the larger of their scales, exactly.

        But for a bias: where kernels are rounded (:meth:`Scales.rounded`), its own bits would widen
        every sum.
        """
        if a.scale > b.scale:
            a = self.rounded_bias(a, b)
        elif b.scale > a.scale:
            b = self.rounded_bias(b, a)
        scale = max(a.scale, b.scale)
        p = self.program
        return (
            p.times(a, 2 ** (scale - a.scale), scale),
            p.times(b, 2 ** (scale - b.scale), scale),
        )

    def materialise(self, joined: Joined) -> Node:
        """Return the parts as one tensor, brought exactly to the largest of their scales."""
        scale = max(x.scale for x in joined.parts)
        aligned = [self.program.times(x, 2 ** (scale - x.scale), scale) for x in joined.parts]
        return self.program.concat(aligned, joined.axis)

    def at_scale(self, c: Constant, scale: int) -> Node:
        """Return a constant quantised to ``scale``."""
        return self.program.const(quantize(c.values, scale), scale)

    def beside(self, c: Constant, x: Node) -> Node:
        """Return a constant at the scale of ``x``, with as many axes at least."""
        missing = len(x.shape) - c.values.ndim
        return self.at_scale(Constant(c.values.reshape((1,) * missing + c.values.shape)), x.scale)

    def exactly(self, c: Constant) -> Node:
        """Return a constant with ``numbers.constants`` significant bits in its largest element, and the
        smallest scale that holds all its elements as they are then.
        """
        largest = float(np.abs(c.values).max(initial=0))
        if not largest or not np.isfinite(largest):
            return self.at_scale(c, 0)
        scale = self.numbers.constants - 1 - floor(log2(largest))
        values = quantize(c.values, scale)
        spare = (int(low := np.bitwise_or.reduce(np.abs(values), axis=None)) & -int(low)).bit_length() - 1
        return self.program.const(values >> np.int64(spare), scale - spare)


Lowering = Callable[[Context, onnx.NodeProto], Value | tuple[Value, ...]]
REGISTRY: dict[str, Lowering] = {}


def lowers(*op_types: str) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of ONNX ops."""

    def register(f: Lowering) -> Lowering:
        for op in op_types:
            REGISTRY[op] = f
        return f

    return register


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a float node as Python values."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
