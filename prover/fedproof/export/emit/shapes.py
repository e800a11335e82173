"""Tensors that depend on the shape of another alone: constants, once the tensor itself is let go."""

from __future__ import annotations

import torch
from torch import fx

#: Name of the operator: what it fills the tensor with, or where its argument says so.
_FILLERS: dict[str, float | str] = {
    "zeros_like": 0,
    "new_zeros": 0,
    "empty_like": 0,
    "new_empty": 0,
    "new_empty_strided": 0,
    "ones_like": 1,
    "new_ones": 1,
    "full_like": "1",
    "fill": "1",
    "new_full": "2",
}


def let_go(graph: fx.Graph) -> None:
    """Replace them by constants, so that what only lent its shape is no longer computed.

    The gradient begins with ``ones_like(loss)``: without this the loss itself would stay.
    """
    for node in graph.nodes:
        filler = _FILLERS.get(getattr(getattr(node.target, "overloadpacket", None), "__name__", ""))
        if filler is None:
            continue
        number = node.args[int(filler)] if isinstance(filler, str) else filler
        if isinstance(number, fx.Node):
            continue
        value = node.meta["val"]
        with graph.inserting_before(node):
            constant = graph.call_function(torch.full, (tuple(value.shape), number), {"dtype": value.dtype})
        constant.meta = dict(node.meta)
        node.replace_all_uses_with(constant)
        graph.erase_node(node)
