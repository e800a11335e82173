"""Evaluate an integer program in numpy, exactly, hints included."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fedproof.errors import CallerError
from fedproof.lowering.exact import exact_matmul
from fedproof.lowering.hints import HINTS
from fedproof.lowering.ir import IntArray, Node, Program
from fedproof.lowering.windows import convolve


def apply(p: Program, node: Node, args: list[IntArray]) -> IntArray:  # noqa: PLR0911, PLR0912 - one case an op
    """One ordinary node, given the values of its inputs."""
    match node.op:
        case "const":
            return p.constants[node.id]
        case "add":
            return args[0] + args[1]
        case "sub":
            return args[0] - args[1]
        case "mul" | "field_mul":
            return args[0] * args[1]
        case "times":
            return args[0] * np.int64(node.attr("factor"))
        case "restate":
            return args[0]
        case "matmul":
            return exact_matmul(args[0], args[1])
        case "transpose":
            return args[0].transpose(node.attr("perm"))
        case "reshape":
            return args[0].reshape(node.shape)
        case "slice":
            index = [slice(None)] * args[0].ndim
            index[node.attr("axis")] = slice(node.attr("start"), node.attr("stop"))
            return args[0][tuple(index)]
        case "concat":
            return np.concatenate(args, axis=node.attr("axis"))
        case "sum":
            return np.asarray(args[0].sum(axis=node.attr("axes"), keepdims=node.attr("keepdims")))
        case "gather":
            return np.asarray(np.take(args[0], node.attr("indices"), axis=node.attr("axis")))
        case "expand":
            return np.broadcast_to(args[0], node.shape).copy()
        case "conv":
            return convolve(node, args[0], args[1])
        case "hint":
            return HINTS[node.attr("kind")].honest(node, args)
    raise AssertionError(f"lowering bug: unknown op {node.op}")


def evaluate(p: Program, inputs: Mapping[str, IntArray], *, check: bool = True) -> dict[int, IntArray]:
    """Values of every node, by id.

    ``inputs`` maps each declared input to an int64 array of its shape. With ``check`` (the default) a
    value that breaks a range check raises :class:`CallerError` naming the tensor, the element, the value and
    the limits: no proof of it can exist.
    """
    values: dict[int, IntArray] = {}
    for node in p.nodes:
        if node.op == "input":
            values[node.id] = _declared(node, inputs)
        else:
            values[node.id] = _applied(p, node, [values[i] for i in node.inputs])
    if check:
        for c in p.checks:
            x = values[c.node]
            bad = np.flatnonzero((x + c.offset < 0) | (x + c.offset >= 2**p.table_bits))
            if bad.size:
                where = tuple(int(i) for i in np.unravel_index(bad[0], x.shape))
                raise CallerError(
                    f"{_place(p, c.node)}{c.label}: element {where} is {int(x.ravel()[bad[0]])}, outside "
                    f"[{-c.offset}, {2**p.table_bits - c.offset}); {bad.size} of {x.size} elements are",
                    hint="a smaller learning rate, smaller inputs; in [numbers] fewer fractional bits of "
                    "activations or gradients, or a larger range",
                )
        for e in p.equations:
            # Modulo 2**64, which is how int64 wraps: enough to notice a wrong hint.
            total = np.full(values[e.terms[0][1]].shape, e.constant % 2**64, dtype=np.uint64)
            for coefficient, i in e.terms:
                total += np.uint64(coefficient % 2**64) * values[i].astype(np.uint64)
            if total.any():
                raise AssertionError(f"lowering bug: honest values break the equation {e.label}")
    return values


def _applied(p: Program, node: Node, args: list[IntArray]) -> IntArray:
    try:
        return apply(p, node, args)
    except CallerError as e:
        raise CallerError(f"{_place(p, node.id)}{e.message}", hint=e.hint) from e


def _place(p: Program, node: int) -> str:
    """Where in the user's code a value was needed, before what is wrong with it."""
    origin = p.origins.get(node)
    return f"{origin.place}: " if origin and origin.place else ""


def _declared(node: Node, inputs: Mapping[str, IntArray]) -> IntArray:
    name = node.attr("name")
    if name not in inputs:
        raise CallerError(f"input {name!r} is missing; given: {sorted(inputs)}")
    x = np.asarray(inputs[name])
    if x.shape != node.shape:
        raise CallerError(f"input {name!r} has shape {x.shape}, the circuit takes {node.shape}")
    if x.dtype != np.int64:
        raise CallerError(f"input {name!r} has type {x.dtype}, the integer program takes int64")
    bad = np.flatnonzero((x < -node.bound) | (x >= node.bound))
    if bad.size:
        where = tuple(int(i) for i in np.unravel_index(bad[0], x.shape))
        raise CallerError(
            f"input {name!r}: element {where} is {int(x.ravel()[bad[0]])}, outside "
            f"[{-node.bound}, {node.bound}) at {node.scale} fractional bits"
        )
    return x
