"""Tracing: a function of tensors becomes an FX graph of canonical torch operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx import traceback as fx_traceback
from torch.fx.experimental.proxy_tensor import make_fx

from fedproof.errors import CallerError
from fedproof.export.decompositions import DECOMPOSITIONS
from fedproof.export.provenance import Recorder

_CONTROL_FLOW = (
    "the module must map a batch (B, ...) to a prediction, without control flow on data: "
    "use torch.where instead of if"
)
#: What torch says where Python reads the value of a traced tensor.
_READS_DATA = (
    "trying to get value out of",
    "data-dependent",
    "_local_scalar_dense",
    "cannot be converted to",
)


def trace(
    function: Callable[[Mapping[str, Tensor], Recorder], Mapping[str, Tensor]],
    inputs: Mapping[str, Tensor],
    what: str,
) -> GraphModule:
    """Trace ``function`` of named tensors; the graph takes them in order and returns a dictionary.

    ``what`` names the function in errors. Raises :class:`CallerError`, with the place in the user's code,
    if it cannot be traced.
    """
    names = list(inputs)
    recorder = Recorder()

    def positional(*tensors: Tensor) -> dict[str, Tensor]:
        return dict(function(dict(zip(names, tensors, strict=True)), recorder))

    try:
        # Without mkldnn an LSTM is traced as what it is, not as one opaque kernel.
        with fx_traceback.preserve_node_meta(), torch.backends.mkldnn.flags(enabled=False):
            return make_fx(torch.func.functionalize(positional), decomposition_table=DECOMPOSITIONS)(
                *inputs.values()
            )
    except CallerError as e:
        raise CallerError(f"cannot export {what}: {recorder.at}: {e.message}", hint=e.hint) from e
    # The tracer raises whatever the user's module raises.
    except Exception as e:
        text = str(e).strip().partition("\n")[0]
        reads = any(sign in str(e) for sign in _READS_DATA)
        reason = "Python reads the value of a tensor that depends on the data" if reads else text
        raise CallerError(
            f"cannot export {what}: {recorder.at}: {type(e).__name__}: {reason}", hint=_CONTROL_FLOW
        ) from e
