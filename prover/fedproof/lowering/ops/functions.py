"""Functions of one variable as tables, softmax, and 1/sqrt: what is neither linear nor piecewise linear."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, exp, log, pi, prod, sqrt, tanh

import numpy as np
import onnx
from numpy.typing import NDArray

from fedproof.lowering.claims import FunctionTable
from fedproof.lowering.context import Constant, Context, UnsupportedOp, Value, lowers
from fedproof.lowering.emit import Emitter
from fedproof.lowering.gadgets import commit, signed
from fedproof.lowering.hints import hint_kind
from fedproof.lowering.ir import IntArray, Node, Program
from fedproof.lowering.roots import inverse_root, reciprocal, root
from fedproof.lowering.saturation import held, held_at

#: Fractional bits of an exponential in a softmax, and of the reciprocal of their sum.
EXP_BITS, INVERSE_BITS = 12, 14


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + float(np.log1p(exp(-abs(x))))


def _density(x: float) -> float:
    return exp(-x * x / 2) / sqrt(2 * pi)


def _gelu_inner(x: float) -> float:
    return tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))


def _gelu_tanh_grad(x: float) -> float:
    t = _gelu_inner(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)


def _mish_grad(x: float) -> float:
    t = tanh(_softplus(x))
    return t + x * _sigmoid(x) * (1 - t * t)


#: The functions of the canonical graph's ``Table_NAME`` nodes, in float64.
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sigmoid": _sigmoid,
    "tanh": tanh,
    "gelu": lambda x: x * 0.5 * (1 + erf(x / sqrt(2))),
    "gelu_grad": lambda x: 0.5 * (1 + erf(x / sqrt(2))) + x * _density(x),
    "gelu_tanh": lambda x: 0.5 * x * (1 + _gelu_inner(x)),
    "gelu_tanh_grad": _gelu_tanh_grad,
    "silu": lambda x: x * _sigmoid(x),
    "silu_grad": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "softplus": _softplus,
    "mish": lambda x: x * tanh(_softplus(x)),
    "mish_grad": _mish_grad,
    "elu": lambda x: x if x > 0 else exp(x) - 1,
    "elu_grad": lambda x: 1.0 if x > 0 else exp(x),
    "erf": erf,
    "sin": lambda x: float(np.sin(x)),
    "cos": lambda x: float(np.cos(x)),
    "atan": lambda x: float(np.arctan(x)),
    "exp": exp,
}


#: Functions of positive numbers, and the first integer in the domain of each.
POSITIVE: dict[str, tuple[Callable[[float], float], int]] = {"log": (log, 1)}

#: Slopes of a function below and above its table: it goes on from its ends along them. Beyond an end that
#: is None, and for other functions, there is no value.
TAILS: dict[str, tuple[int | None, int | None]] = {
    **dict.fromkeys(("sigmoid", "tanh", "erf"), (0, 0)),
    **dict.fromkeys(("gelu_grad", "gelu_tanh_grad", "silu_grad", "mish_grad", "elu_grad"), (0, 0)),
    **dict.fromkeys(("gelu", "gelu_tanh", "silu", "mish", "softplus", "elu"), (0, 1)),
    "exp": (0, None),
}


def tabulate(
    name: str, f: Callable[[float], float], first: int, n: int, scale: int, out: int
) -> FunctionTable:
    """``round_half_up(f(x / 2**scale) * 2**out)`` for the integers x from ``first`` on, ``n`` of them."""
    values = tuple(int(np.floor(f(x / 2**scale) * 2**out + 0.5)) for x in range(first, first + n))
    return FunctionTable(f"{name} at {scale}.{out}", first, values)


def _table(ctx: Context, node: onnx.NodeProto) -> Value:
    """A function of one variable: argument rescaled to ``numbers.function_input`` bits, looked up."""
    name = node.op_type.removeprefix("Table_")
    numbers = ctx.numbers
    x = ctx.narrow_to(ctx.tensor(node, 0), numbers.function_input, f"{node.output[0]} argument", ranged=False)
    n = 2**numbers.functions
    f, first = POSITIVE[name] if name in POSITIVE else (FUNCTIONS[name], -n // 2)
    if _goes_on(name) and x.bound >= n // 2:
        # The same on both sides.
        first, n = first + 1, n - 1
    table = tabulate(name, f, first, n, x.scale, numbers.activations)
    c, beyond = _held(ctx, x, name, -first, node.output[0])
    # Being in the domain of the table says that c is a small integer, and so then is x.
    ctx.proven(x)
    y = ctx.program.function(c, table, numbers.activations)
    return y if beyond is None else _sum(ctx.program, y, beyond)


def _goes_on(name: str) -> bool:
    """Whether a function has a value on both sides of its table."""
    return None not in TAILS.get(name, (None, None))


def _held(ctx: Context, x: Node, name: str, end: int, label: str) -> tuple[Node, Node | None]:
    """Return ``x`` held in the domain of a function's table, and what to add to the function for the rest."""
    p, (below, above) = ctx.program, TAILS.get(name, (None, None))
    if below is None or x.bound <= end:
        return x, None
    if above is None:
        return held_at(p, x, -end, label, above=False), None
    c, s = held(p, x, end, label)
    if not above:
        return c, None
    # What x is above c by: half of s + (x - c).
    return c, p.restate(p.add(s, p.sub(x, c)), x.scale + 1)


def _sum(p: Program, a: Node, b: Node) -> Node:
    scale = max(a.scale, b.scale)
    return p.add(*(p.times(v, 2 ** (scale - v.scale), scale) for v in (a, b)))


for _name in (*FUNCTIONS, *POSITIVE):
    lowers(f"fedproof::Table_{_name}")(_table)


@lowers("fedproof::Softmax", "Softmax")
def softmax(ctx: Context, node: onnx.NodeProto) -> Value:
    """Softmax over the last axis.

    With d = (largest of the row) - x, held within a table of exp(-d) for d >= 0, and the product of the d
    of a row being 0: e = exp(-d), s = e * (1 / sum e). The largest element may be any of several equal
    ones, d is the same.
    """
    x = ctx.tensor(node, 0)
    return _softmax(ctx, x, np.ones(x.shape, dtype=bool), node.output[0])


@lowers("fedproof::SoftmaxMasked")
def softmax_masked(ctx: Context, node: onnx.NodeProto) -> Value:
    """Softmax over the elements of each row that a constant mask keeps; the others are 0."""
    x = ctx.tensor(node, 0)
    keep = ctx.values[node.input[1]]
    if not isinstance(keep, Constant):
        raise UnsupportedOp(node, "the mask of a softmax must be constant")
    return _softmax(ctx, x, np.broadcast_to(keep.values > 0.5, x.shape), node.output[0])


def _softmax(ctx: Context, x: Node, keep: NDArray[np.bool_], label: str) -> Node:
    p, numbers = ctx.program, ctx.numbers
    n = x.shape[-1]
    rows, kept = prod(x.shape[:-1]), keep.reshape(-1, n)
    everything = bool(keep.all())
    x = ctx.narrow_to(x, numbers.function_input, f"{label} argument", ranged=not everything)
    at = tuple(int(i) for i in np.flatnonzero(kept))
    flat = p.gather(p.flatten(x), 0, at)
    row_of = tuple(i // n for i in at)
    largest = p.hint("row_max", flat, (rows,), x.scale, x.bound, f"{label} largest", rows=row_of)
    signed(p, largest, x.bound.bit_length(), f"{label} largest")
    away = p.sub(p.gather(largest, 0, row_of), flat)
    last = 2**numbers.functions - 1
    if away.bound > last:
        d = held_at(p, away, last, f"{label} distance", above=True)
    else:
        d = commit(p, away, f"{label} distance")
    if everything:
        # Integers: the largest by its check, d as an entry of the table.
        ctx.proven(x)
    _touch_zero(ctx, d, row_of, rows, label)
    table = tabulate("exp(-x)", lambda v: exp(-v), 0, 2**numbers.functions, x.scale, EXP_BITS)
    e = p.function(d, table, EXP_BITS)
    sums = _row_sums(ctx, e, row_of, rows)
    inverse = reciprocal(
        p, sums, EXP_BITS + INVERSE_BITS, int(kept.sum(axis=1).max()) << EXP_BITS, f"{label} sum"
    )
    s = p.mul(e, p.gather(inverse, 0, row_of))
    if len(at) == rows * n:
        return p.reshape(s, x.shape)
    padded = p.concat([s, p.const(np.zeros(1, dtype=np.int64), s.scale)], 0)
    places = np.full(rows * n, len(at))
    places[list(at)] = np.arange(len(at))
    return p.reshape(p.gather(padded, 0, tuple(int(i) for i in places)), x.shape)


def _emit_row_max(e: Emitter, node: Node, args: list[str], out: str) -> str:
    members = _by_row(node.attr("rows"), node.size)
    length = max(len(m) for m in members)
    # Shorter rows repeat an element of their own.
    at = np.array([[m[min(k, len(m) - 1)] for k in range(length)] for m in members])
    rows = e.op("Gather", [args[0], e.indices(at)], f"{out}_rows", axis=0)
    return e.op("ReduceMax", [rows], out, axes=[1], keepdims=0)


@hint_kind("row_max", _emit_row_max)
def _row_max(node: Node, args: list[IntArray]) -> IntArray:
    """Return the largest element of each row; ``rows`` says which row an element belongs to."""
    result = np.full(node.shape, np.iinfo(np.int64).min)
    np.maximum.at(result, np.array(node.attr("rows")), args[0])
    return result


def _by_row(row_of: tuple[int, ...], rows: int) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(rows)]
    for i, r in enumerate(row_of):
        members[r].append(i)
    return members


def _touch_zero(ctx: Context, d: Node, row_of: tuple[int, ...], rows: int, label: str) -> None:
    """Demand that an element of each row is 0: their product is. Without it all d of a row may be larger."""
    p = ctx.program
    members = _by_row(row_of, rows)
    one = p.const(np.ones(1, dtype=np.int64), 0)
    padded = p.concat([p.restate(d, 0), one], 0)
    length = max(len(m) for m in members)
    product = p.gather(padded, 0, tuple(m[0] for m in members))
    for k in range(1, length):
        column = p.gather(padded, 0, tuple(m[k] if k < len(m) else d.size for m in members))
        product = p.field_mul(product, column)
    p.equate([(1, product)], 0, f"{label} largest")


def _row_sums(ctx: Context, e: Node, row_of: tuple[int, ...], rows: int) -> Node:
    p = ctx.program
    members = _by_row(row_of, rows)
    if len({len(m) for m in members}) == 1:
        order = tuple(i for m in members for i in m)
        return p.sum(p.reshape(p.gather(e, 0, order), (rows, len(members[0]))), (1,), keepdims=False)
    padded = p.concat([e, p.const(np.zeros(1, dtype=np.int64), e.scale)], 0)
    length = max(len(m) for m in members)
    order = tuple(m[k] if k < len(m) else e.size for m in members for k in range(length))
    return p.sum(p.reshape(p.gather(padded, 0, order), (rows, length)), (1,), keepdims=False)


@lowers("fedproof::Rsqrt")
def rsqrt(ctx: Context, node: onnx.NodeProto) -> Value:
    """``1 / sqrt(x)`` of a positive tensor, rounded down."""
    numbers = ctx.numbers
    # A variance: twice the bits of what it is the variance of, up to 2**6.
    bits = 2 * numbers.activations
    x = ctx.narrow_to(ctx.tensor(node, 0), bits, f"{node.output[0]} argument", bits=bits + 7)
    out = numbers.activations + 2
    return inverse_root(ctx.program, x, 2 * out + x.scale, node.output[0])


@lowers("fedproof::Table_sqrt")
def square_root(ctx: Context, node: onnx.NodeProto) -> Value:
    """``sqrt(x)`` of a tensor that is not negative, rounded down."""
    numbers, label = ctx.numbers, node.output[0]
    # Of a sum of squares, most often: twice the bits of what is squared, up to 2**10.
    bits = 2 * numbers.activations
    x = ctx.narrow_to(ctx.tensor(node, 0), bits, f"{label} argument", bits=bits + 11)
    x = ctx.within(x, bits + 11, f"{label} argument")
    return root(ctx.program, x, max(numbers.activations + 2, -(-x.scale // 2)), label)
