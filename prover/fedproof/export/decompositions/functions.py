"""Elementary functions of one variable, and powers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor
from torch._ops import OpOverload

from fedproof.errors import CallerError
from fedproof.export import operators as ops
from fedproof.export.decompositions.registry import DECOMPOSITIONS, aten, decomposes

_SMALL_POWER = 8


def _tabulated(name: str) -> Callable[[Tensor], Tensor]:
    return lambda x: ops.table(x, name)


_DIRECT: dict[OpOverload, str] = {
    aten.exp.default: "exp",
    aten.log.default: "log",
    aten.sqrt.default: "sqrt",
    aten.reciprocal.default: "reciprocal",
    aten.erf.default: "erf",
    aten.sin.default: "sin",
    aten.cos.default: "cos",
    aten.atan.default: "atan",
}
DECOMPOSITIONS.update({operator: _tabulated(name) for operator, name in _DIRECT.items()})


@decomposes(aten.rsqrt.default)
def rsqrt(x: Tensor) -> Tensor:  # noqa: D103
    return ops.rsqrt(x)


@decomposes(aten.expm1.default)
def expm1(x: Tensor) -> Tensor:  # noqa: D103
    return ops.table(x, "exp") - 1


@decomposes(aten.log1p.default)
def log1p(x: Tensor) -> Tensor:  # noqa: D103
    return ops.table(x + 1, "log")


@decomposes(aten.square.default)
def square(x: Tensor) -> Tensor:  # noqa: D103
    return x * x


@decomposes(aten.pow.Tensor_Scalar)
def power(x: Tensor, exponent: float) -> Tensor:
    """Products for whole exponents up to 8, a root for a half. Raises :class:`CallerError` for others."""
    if exponent < 0:
        return ops.rsqrt(x) if exponent == -0.5 else ops.table(power(x, -exponent), "reciprocal")
    if exponent == 0.5:
        return ops.table(x, "sqrt")
    if exponent != int(exponent) or exponent > _SMALL_POWER:
        raise CallerError(f"a power of {exponent}", hint="whole exponents up to 8, and 0.5, are supported")
    if exponent == 0:
        return x * 0 + 1
    result = x
    for bit in bin(int(exponent))[3:]:
        result = result * result
        if bit == "1":
            result = result * x
    return result


@decomposes(aten.linalg_vector_norm.default)
def norm(
    x: Tensor, order: float = 2, dim: Sequence[int] | None = None, keepdim: bool = False, **_: object
) -> Tensor:
    """The Euclidean norm, or the sum of absolute values."""
    axes = list(range(x.dim())) if dim is None else list(dim)
    if order == 2:
        return ops.table((x * x).sum(axes, keepdim=keepdim), "sqrt")
    if order == 1:
        return x.abs().sum(axes, keepdim=keepdim)
    raise CallerError(f"a norm of order {order}", hint="orders 1 and 2 are supported")


@decomposes(aten._trilinear.default)
def trilinear(
    a: Tensor,
    b: Tensor,
    c: Tensor,
    expand_a: Sequence[int],
    expand_b: Sequence[int],
    expand_c: Sequence[int],
    axes: Sequence[int],
    unroll: int = 1,
) -> Tensor:
    """The sum of products of three tensors, each with axes of length one inserted."""
    del unroll
    for i in expand_a:
        a = a.unsqueeze(i)
    for i in expand_b:
        b = b.unsqueeze(i)
    for i in expand_c:
        c = c.unsqueeze(i)
    product = a * b * c
    return product.sum(list(axes)) if axes else product


@decomposes(aten.max.dim)
def maximum_along(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """Values and places of the maxima; a place is known to the gradient alone."""
    if dim % x.dim() != x.dim() - 1:
        values, places = maximum_along(x.transpose(dim, -1), -1, True)
        values, places = values.transpose(dim, -1), places.transpose(dim, -1)
        return (values, places) if keepdim else (values.squeeze(dim), places.squeeze(dim))
    values, places = ops.max_last(x)[0], ops.place_of_max(x)
    return (values.unsqueeze(-1), places.unsqueeze(-1)) if keepdim else (values, places)


@decomposes(aten.amax.default)
def maximum_over(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    """Maxima over any axes: those are moved behind the others and become one."""
    axes = sorted(d % x.dim() for d in dim) or list(range(x.dim()))
    others = [d for d in range(x.dim()) if d not in axes]
    rows = x.permute(*others, *axes).reshape(prod(x.shape[d] for d in others), -1)
    left = [1 if d in axes else n for d, n in enumerate(x.shape) if keepdim or d in others]
    return ops.max_last(rows)[0].reshape(left)
