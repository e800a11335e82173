"""Decompositions: any torch operator with a meaning in the canonical set, rewritten into that set."""

from torch._decomp import get_decompositions
from torch._ops import OpOverload

from fedproof.export.decompositions import (  # noqa: F401 - importing them fills the registry
    activations,
    batch,
    convolution,
    functions,
    losses,
    normalisation,
    pooling,
    thresholds,
)
from fedproof.export.decompositions.registry import DECOMPOSITIONS, aten

#: Torch's own, where they end in operators that are canonical.
_TORCH = (aten.baddbmm, aten.addbmm, aten.addmv, aten.addr, aten.addcdiv, aten.lerp, aten.logit, aten.aminmax)
for _operator, _function in get_decompositions(list(_TORCH)).items():
    if isinstance(_operator, OpOverload):
        DECOMPOSITIONS.setdefault(_operator, _function)

__all__ = ["DECOMPOSITIONS"]
