"""Building an ONNX graph: nodes with their origin, each computation once, constants by their value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fedproof.errors import CallerError
from fedproof.export.functions import DOMAIN, OPSET, function
from fedproof.export.provenance import Origin

_IR_VERSION = 10
#: An attribute of a node, or one of the keywords of :meth:`Builder.add`.
Attribute = Any
_TYPES = {"float": TensorProto.FLOAT, "bool": TensorProto.BOOL}


@dataclass(frozen=True)
class Ref:
    """A tensor of the graph. ``kind`` is float, bool, or int: whole numbers, held in floats."""

    name: str
    shape: tuple[int, ...]
    kind: str = "float"


class Builder:
    """Collects nodes. ``origin`` and ``operator`` go into the metadata of those added next."""

    def __init__(self) -> None:
        self.origin = Origin()
        self.operator = ""
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: dict[str, Ref] = {}
        self.refs: dict[str, Ref] = {}
        #: The node that makes each tensor.
        self.makers: dict[str, onnx.NodeProto] = {}
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        self._names: dict[tuple[Any, ...], str] = {}
        self._known: dict[tuple[Any, ...], list[Ref]] = {}
        self._count = 0

    def input(self, name: str, shape: tuple[int, ...]) -> Ref:
        """Declare an input of the graph."""
        self.inputs[name] = Ref(name, shape)
        return self.inputs[name]

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """Name an initializer; equal ones are one."""
        plain = np.asarray(value)
        array: np.ndarray[Any, Any] = np.ascontiguousarray(plain, dtype=dtype).reshape(plain.shape)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"c{len(self._names)}"
            self.constants[self._names[key]] = array
        return self._names[key]

    def add(
        self,
        op_type: str,
        inputs: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
        kind: str = "float",
        domain: str = "",
        **attributes: Attribute,
    ) -> list[Ref]:
        """Add a node with one output for each of ``shapes``, or return the equal one that is there."""
        key = (op_type, tuple(inputs), tuple(shapes), kind, repr(sorted(attributes.items())))
        if key in self._known:
            return self._known[key]
        self._count += 1
        stem = f"{op_type.lower()}_{self._count}"
        names = [stem] if len(shapes) == 1 else [f"{stem}_{i}" for i in range(len(shapes))]
        node = helper.make_node(op_type, list(inputs), names, name=stem, domain=domain, **attributes)
        for field, text in {**self.origin.properties, "op": self.operator}.items():
            entry = node.metadata_props.add()
            entry.key, entry.value = field, text
        node.doc_string = f"{self.operator} of {self.origin}"
        self.nodes.append(node)
        refs = [Ref(name, tuple(shape), kind) for name, shape in zip(names, shapes, strict=True)]
        self.refs |= {ref.name: ref for ref in refs}
        self.makers |= {ref.name: node for ref in refs}
        self._known[key] = refs
        return refs

    def one(self, op_type: str, inputs: Sequence[str], shape: tuple[int, ...], **more: Attribute) -> Ref:
        """As :meth:`add`, for a node with one output."""
        return self.add(op_type, inputs, [tuple(shape)], **more)[0]

    def own(
        self, op_type: str, inputs: Sequence[str], shape: tuple[int, ...], **attributes: Attribute
    ) -> Ref:
        """As :meth:`one`, for a function of the domain ``fedproof``."""
        return self.one(op_type, inputs, shape, domain=DOMAIN, **attributes)

    def model(self, outputs: dict[str, Ref]) -> onnx.ModelProto:
        """Return the graph of what the outputs need; the inputs all stay.

        Raises :class:`CallerError` if a constant in it is infinite or not a number.
        """
        nodes = [
            *self.nodes,
            *(helper.make_node("Identity", [ref.name], [name], name=name) for name, ref in outputs.items()),
        ]
        needed = set(outputs)
        kept = []
        for node in reversed(nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
                self._check(node)
        kept.reverse()
        graph = helper.make_graph(
            kept,
            "fedproof",
            [_info(ref.name, ref) for ref in self.inputs.values()],
            [_info(name, ref) for name, ref in outputs.items()],
            [numpy_helper.from_array(v, name) for name, v in self.constants.items() if name in needed],
            value_info=[_info(name, ref) for name, ref in self.refs.items() if name in needed],
        )
        own = sorted({node.op_type for node in kept if node.domain == DOMAIN})
        imports = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid(DOMAIN, 1)] if own else [])
        model: onnx.ModelProto = helper.make_model(
            graph,
            opset_imports=imports,
            functions=[function(name) for name in own],
            ir_version=_IR_VERSION,
            producer_name="fedproof",
        )
        return model

    def _check(self, node: onnx.NodeProto) -> None:
        for name in node.input:
            if name not in self.refs and name not in self.inputs and name not in self.constants:
                raise CallerError(f"{node.doc_string}: uses the {name}", hint="only its value may be used")
            if name in self.constants and not np.isfinite(self.constants[name]).all():
                raise CallerError(
                    f"{node.doc_string}: a constant is infinite or not a number",
                    hint="minus infinity is understood only in a constant mask right before a softmax",
                )


def _info(name: str, ref: Ref) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES.get(ref.kind, TensorProto.FLOAT), ref.shape)
