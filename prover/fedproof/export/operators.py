"""Torch operators that stand for one canonical node each: what decompositions reduce a module to.

They are registered under ``torch.ops.fedproof``, have no gradient of their own (decompositions run below
autograd) and compute in ordinary floats. :mod:`fedproof.export.functions` has their ONNX bodies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_SQRT_2 = 2.0**0.5
_GELU_C = 0.7978845608028654  # sqrt(2 / pi)
_GELU_A = 0.044715


def _gelu_grad(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(x / _SQRT_2)) + x * torch.exp(-0.5 * x * x) * (0.5 * _GELU_C)


def _gelu_tanh_grad(x: Tensor) -> Tensor:
    t = torch.tanh(_GELU_C * (x + _GELU_A * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _GELU_C * (1 + 3 * _GELU_A * x * x)


def _silu_grad(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1 + x * (1 - s))


def _mish_grad(x: Tensor) -> Tensor:
    t = torch.tanh(functional.softplus(x))
    return t + x * torch.sigmoid(x) * (1 - t * t)


#: Functions of one variable that a node ``Table_NAME`` may stand for.
TABLES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "gelu_grad": _gelu_grad,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_tanh_grad": _gelu_tanh_grad,
    "silu": functional.silu,
    "silu_grad": _silu_grad,
    "softplus": functional.softplus,
    "mish": functional.mish,
    "mish_grad": _mish_grad,
    "elu": functional.elu,
    "elu_grad": lambda x: torch.exp(x.clamp(max=0)),
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "reciprocal": torch.reciprocal,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
}


def _table(x: Tensor, function: str) -> Tensor:
    return TABLES[function](x)


def _softmax(x: Tensor) -> Tensor:
    return torch.softmax(x, -1)


def _log_softmax(x: Tensor) -> Tensor:
    return torch.log_softmax(x, -1)


def _log_sum_exp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, -1, keepdim=True)


def _max_last(x: Tensor) -> tuple[Tensor, Tensor]:
    values, where = x.max(-1)
    # max() does not promise the first of equal elements; this does.
    position = torch.arange(x.shape[-1], device=x.device)
    first = torch.where(x == values.unsqueeze(-1), position, x.shape[-1]).min(-1).values
    return values, (position == torch.minimum(first, where).unsqueeze(-1)).to(x.dtype)


def _place_of_max(x: Tensor) -> Tensor:
    return _max_last(x)[1].argmax(-1)


def _one_hot(ids: Tensor, depth: int) -> Tensor:
    # Not torch's own, which is replaced by this one while a module is traced.
    return (ids.long().unsqueeze(-1) == torch.arange(depth)).to(torch.get_default_dtype())


def _pick(x: Tensor, places: Tensor) -> Tensor:
    extended = torch.cat([x, x.new_zeros((*x.shape[:-1], 1))], -1)
    return extended[..., places]


def _place(x: Tensor, places: Tensor, size: int) -> Tensor:
    out = x.new_zeros((*x.shape[:-1], size + 1))
    out.index_add_(-1, torch.where(places < 0, size, places), x)
    return out[..., :size].clone()


_LIBRARY: Any = torch.library.Library("fedproof", "DEF")  # type: ignore[no-untyped-call]
for _schema, _implementation in (
    ("table(Tensor x, str function) -> Tensor", _table),
    ("softmax(Tensor x) -> Tensor", _softmax),
    ("log_softmax(Tensor x) -> Tensor", _log_softmax),
    ("log_sum_exp(Tensor x) -> Tensor", _log_sum_exp),
    (
        "max_last(Tensor x) -> (Tensor, Tensor)",
        _max_last,
    ),  # (..., n) to (...) and one-hot of the first (..., n)
    ("place_of_max(Tensor x) -> Tensor", _place_of_max),
    ("rsqrt(Tensor x) -> Tensor", torch.rsqrt),
    ("one_hot(Tensor ids, int depth) -> Tensor", _one_hot),
    ("pick(Tensor x, Tensor places) -> Tensor", _pick),
    ("place(Tensor x, Tensor places, int size) -> Tensor", _place),
):
    _LIBRARY.define(_schema)
    _LIBRARY.impl(_schema.partition("(")[0], _implementation, "CompositeExplicitAutograd")

#: The registered operators, as torch knows them; below, the same as typed functions.
OPS = torch.ops.fedproof


def table(x: Tensor, function: str) -> Tensor:
    """A function of one variable, elementwise: a name in :data:`TABLES`."""
    result: Tensor = OPS.table(x, function)
    return result


def softmax(x: Tensor) -> Tensor:
    """Over the last axis."""
    result: Tensor = OPS.softmax(x)
    return result


def log_softmax(x: Tensor) -> Tensor:
    """Over the last axis."""
    result: Tensor = OPS.log_softmax(x)
    return result


def log_sum_exp(x: Tensor) -> Tensor:
    """Over the last axis, which is kept."""
    result: Tensor = OPS.log_sum_exp(x)
    return result


def max_last(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima (...) over the last axis of (..., n), and the one-hot places (..., n) of the first of each."""
    values, onehot = OPS.max_last(x)
    return values, onehot


def place_of_max(x: Tensor) -> Tensor:
    """Places (...) of the first maxima over the last axis. No node: the emitter recognises its use."""
    result: Tensor = OPS.place_of_max(x)
    return result


def rsqrt(x: Tensor) -> Tensor:
    """``1 / sqrt(x)``."""
    result: Tensor = OPS.rsqrt(x)
    return result


def one_hot(ids: Tensor, depth: int) -> Tensor:
    """(...) to (..., depth), floats."""
    result: Tensor = OPS.one_hot(ids, depth)
    return result


def pick(x: Tensor, places: Tensor) -> Tensor:
    """``x[..., places]``, zero where a place is -1: (..., n) to (..., k)."""
    result: Tensor = OPS.pick(x, places)
    return result


def place(x: Tensor, places: Tensor, size: int) -> Tensor:
    """The adjoint of :func:`pick`: (..., k) to (..., size), elements with one place added up."""
    result: Tensor = OPS.place(x, places, size)
    return result
