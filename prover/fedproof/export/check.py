"""That an exported graph computes what torch does: random inputs, onnxruntime, and a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, fx

from fedproof.errors import CallerError
from fedproof.export.operators import OPS

#: Largest difference between torch and onnxruntime on the exported graph, relative to the largest element.
TOLERANCE = 1e-5

Tensors = Mapping[str, Tensor]


def examples(
    shapes: Mapping[str, tuple[int, ...]], given: Tensors, ids: Mapping[str, int] | None = None
) -> dict[str, Tensor]:
    """Random inputs: uniform, masks of zeros and ones, and whole numbers below ``ids[name]`` where given."""
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name, shape in shapes.items():
        limit = 2 if name == "mask" else (ids or {}).get(name, 0)
        if name in given:
            made[name] = given[name]
        elif limit:
            made[name] = torch.randint(0, limit, shape, generator=generator).float()
        else:
            made[name] = torch.rand(shape, generator=generator)
    return made


def id_inputs(traced: fx.GraphModule, names: list[str]) -> dict[str, int]:
    """Inputs that are looked up in a table or made one-hot, with the smallest depth."""
    held = dict(zip((n for n in traced.graph.nodes if n.op == "placeholder"), names, strict=True))
    found: dict[str, int] = {}
    for node in traced.graph.nodes:
        if node.target == OPS.one_hot.default:
            ids, depth = node.args
        elif node.target == torch.ops.aten.embedding.default:
            ids, depth = node.args[1], int(node.args[0].meta["val"].shape[0])
        else:
            continue
        waiting = [ids]
        while waiting:
            source = waiting.pop()
            waiting += source.all_input_nodes
            if source in held:
                found[held[source]] = min(depth, found.get(held[source], depth))
    return found


def compare(model: onnx.ModelProto, function: Callable[[Tensors], Tensors], inputs: Tensors) -> float:
    """Return the largest difference of any output, relative to its largest element.

    Raises :class:`CallerError` if it is above :data:`TOLERANCE`.
    """
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    actual = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
    expected = function(inputs)
    worst = 0.0
    for name, found in zip(names, actual, strict=True):
        wanted = expected[name].detach().numpy()
        error = float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-12))
        if not error <= TOLERANCE:
            raise CallerError(f"the exported {name} differs from torch by {error:.2e} of its largest element")
        worst = max(worst, error)
    return worst
