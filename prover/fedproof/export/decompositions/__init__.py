"""Decompositions: any torch operator with a meaning in the canonical set, rewritten into that set."""

from torch._decomp import get_decompositions

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
DECOMPOSITIONS.update(
    {
        operator: f
        for operator, f in get_decompositions(list(_TORCH)).items()
        if operator not in DECOMPOSITIONS
    }
)

__all__ = ["DECOMPOSITIONS"]
