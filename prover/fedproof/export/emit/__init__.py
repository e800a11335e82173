"""Emission: a traced graph of canonical torch operators becomes an ONNX graph of canonical ops."""

from collections.abc import Mapping, Sequence

import onnx
from torch.fx import GraphModule

from fedproof.export.emit import elementwise, movement, places, products, softmax  # noqa: F401
from fedproof.export.emit.context import Walk
from fedproof.export.emit.shapes import let_go

__all__ = ["emit"]


def emit(traced: GraphModule, inputs: Sequence[str]) -> onnx.ModelProto:
    """Return the ONNX graph of a traced function that returns a dictionary of tensors.

    Raises :class:`~fedproof.errors.CallerError` at an operator without a canonical form, naming its module
    and line.
    """
    let_go(traced.graph)
    traced.graph.eliminate_dead_code()
    walk = Walk(traced)
    found = walk.run(inputs)
    if not isinstance(found, Mapping):
        raise TypeError("the traced function must return a dictionary")
    return walk.builder.model({name: walk.ref(value) for name, value in found.items()})
