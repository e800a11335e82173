"""That an exported graph computes what torch does: random inputs, onnxruntime, and a tolerance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, fx, nn

from fedproof.errors import CallerError
from fedproof.export.operators import OPS

#: Largest difference between torch and onnxruntime on the exported graph, relative to the largest element.
TOLERANCE = 1e-5
#: How many times torch's own rounding error is still rounding.
_ROUNDING = 4

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


def compare(
    model: onnx.ModelProto, module: nn.Module, function: Callable[[Tensors], Tensors], inputs: Tensors
) -> float:
    """Return the largest difference of any output, relative to its largest element.

    ``function`` is that of ``module`` in float32. Raises :class:`CallerError` if the difference is above
    :data:`TOLERANCE`, and above what torch's own float32 differs from its float64.
    """
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    actual = session.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
    single = function(inputs)
    exact = _in_double(module, function, inputs) or single
    worst = 0.0
    for name, found in zip(names, actual, strict=True):
        wanted = exact[name].detach().double().numpy()
        largest = max(np.abs(wanted).max(), 1e-12)
        error = float(np.abs(found - wanted).max() / largest)
        rounding = float(np.abs(single[name].detach().numpy() - wanted).max() / largest)
        if not error <= max(TOLERANCE, _ROUNDING * rounding):
            raise CallerError(f"the exported {name} differs from torch by {error:.2e} of its largest element")
        worst = max(worst, error)
    return worst


def _in_double(module: nn.Module, function: Callable[[Tensors], Tensors], inputs: Tensors) -> Tensors | None:
    """The same in float64, or None where the module insists on float32."""
    try:
        module.double()
        return function({name: tensor.double() for name, tensor in inputs.items()})
    except RuntimeError:
        return None
    finally:
        module.float()
