"""What the statements share: shapes of a graph, declared inputs, salts, results brought to one scale."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import onnx

from fedproof.lowering.context import Context, Joined
from fedproof.lowering.gadgets import bit, commit, rescale, signed
from fedproof.lowering.ir import Node, Program, Shape
from fedproof.lowering.numbers import Numbers
from fedproof.lowering.table import FIRST

#: Entropy of the salt of a committed vector: commitments are deterministic, low-entropy data is guessable.
SALT_BITS = 130


def salt_length(table: int) -> int:
    """Elements of a model, step or update vector that carry its salt, each of ``table`` bits."""
    return ceil(SALT_BITS / table)


def batch_shift(numbers: Numbers) -> int:
    """By how much elements of a batch are shifted in their committed vector (:meth:`Program.shifts`)."""
    return int(2 ** (numbers.table - 1) + FIRST)


def input_shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    """Shapes of a float graph's inputs, by name."""
    return {i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim) for i in graph.input}


def declare_model(p: Program, d: int, numbers: Numbers) -> Node:
    """Return the model (D,). It needs no check: its commitment is derived from a registered one by proofs."""
    return p.input("model", (d,), numbers.weights, numbers.model)


def declare_data(p: Program, name: str, shape: Shape, scale: int) -> Node:
    """Return a part of the batch, range-checked.

    A sample that is a fraction in the field would let a prover reach any result it likes.
    """
    x = p.input(name, shape, scale, p.table_bits)
    signed(p, x, p.table_bits, f"{name} range")
    return x


def declare_mask(p: Program, shape: Shape) -> Node:
    """Return a dropout mask, 1 to keep and 0 to drop, and nothing else: other values would scale activations.

    The trainer chooses it and commits to it with the batch: the statement holds for the mask as committed.
    """
    mask = declare_data(p, "mask", shape, 0)
    bit(p, mask, "mask")
    return mask


def at_scale(
    ctx: Context, result: Node | Joined, scale: int, bits: int, label: str, placed: Sequence[Node] = ()
) -> list[Node]:
    """Return the parts of a result as committed tensors at ``scale``: exact if they fit, else rounded.

    None of them is one of ``placed``, which are in a committed vector already.
    """
    p = ctx.program
    made: list[Node] = []
    for i, part in enumerate(result.parts if isinstance(result, Joined) else (result,)):
        source = p.copy(part, i) if part.op == "input" else part
        tensor = _at_scale(ctx, source, scale, bits, f"{label} {i}")
        # Two parameters can have one gradient (two biases added up); each still has its own place.
        if tensor in made or tensor in placed:
            tensor = commit(p, p.copy(tensor, len(placed) + i), f"{label} {i}")
        made.append(tensor)
    return made


def _at_scale(ctx: Context, part: Node, scale: int, bits: int, label: str) -> Node:
    p = ctx.program
    if part.scale > scale:
        part = ctx.narrow_terms(part, label)
    q = part.scale - scale
    if q > 0:
        return rescale(p, part, q, bits, label)
    exact = p.times(part, 2**-q, scale)
    # A hint has a place of its own already: what it is used for besides gets a copy.
    return commit(p, p.copy(exact, exact.id) if exact.op == "hint" else exact, label)
