"""The statements Fedproof proves, as integer programs: a training step, and an exact average."""

from __future__ import annotations

from math import ceil

import onnx

from fedproof.lowering.context import Context, Joined
from fedproof.lowering.gadgets import commit, rescale, signed
from fedproof.lowering.ir import Node, Program
from fedproof.lowering.lower import lower_graph
from fedproof.lowering.numbers import Numbers
from fedproof.lowering.table import FIRST

#: Entropy of the salt of a committed vector: commitments are deterministic, low-entropy data is guessable.
SALT_BITS = 130


def salt_length(table: int) -> int:
    """Elements of a model, step or update vector that carry its salt, each of ``table`` bits."""
    return ceil(SALT_BITS / table)


def training_program(graph: onnx.GraphProto, numbers: Numbers) -> Program:
    """One SGD step: committed model, batch, step and advice.

    ``graph`` has inputs ``model`` (D), ``x`` (B, ...), ``y`` (B, ...) and the output ``step`` (D), the
    amount to be subtracted from the model. Where the weights have as many fractional bits as a part of
    the step comes to, that part is exact; where they have fewer, it is rounded once.

    The batch is range-checked: a sample that is a fraction in the field would let a trainer reach any
    step it likes. The model needs no check: the hub derives its commitment from a registered one by steps
    that were proven.
    """
    shapes = {i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim) for i in graph.input}
    d = shapes["model"][0]
    p = Program(numbers.table)
    ctx = Context(p, numbers)
    salts = salt_length(numbers.table)
    model = p.input("model", (d,), numbers.weights, numbers.model)
    x = p.input("x", shapes["x"], numbers.inputs, numbers.table)
    y = p.input("y", shapes["y"], numbers.targets, numbers.table)
    salt = p.input("step_salt", (salts,), numbers.weights, numbers.table)
    ctx.targets.add(y.id)
    signed(p, x, numbers.table, "x range")
    signed(p, y, numbers.table, "y range")
    raw = lower_graph(ctx, graph, {"model": model, "x": x, "y": y})["step"]
    parts = list(raw.parts if isinstance(raw, Joined) else (raw,))
    # Two parameters can have one gradient (two biases added up); each still has its own place in the step.
    for i, part in enumerate(parts):
        if part in parts[:i]:
            parts[i] = p.copy(part, i)
    step = [_at_weights(ctx, part, f"step {i}") for i, part in enumerate(parts)]
    signed(p, salt, numbers.table, "step salt range")
    p.count_lookups()
    p.slot("model", [model], salts)
    p.slot("batch", [x, y], 1, shifted=True)
    p.slot("step", [*step, salt], 0)
    p.slot("advice", [h for h in p.hints if h not in step], 1, shifted=True)
    return p.prune()


def _at_weights(ctx: Context, part: Node, label: str) -> Node:
    p, numbers = ctx.program, ctx.numbers
    if part.scale > numbers.weights:
        part = ctx.narrow_terms(part, label)
    q = part.scale - numbers.weights
    if q > 0:
        return rescale(p, part, q, numbers.step, label)
    return commit(p, p.times(part, 2**-q, numbers.weights), label)


def batch_shift(numbers: Numbers) -> int:
    """By how much elements of a batch are shifted in their committed vector (:meth:`Program.shifts`)."""
    return int(2 ** (numbers.table - 1) + FIRST)


def step_bound(program: Program) -> int:
    """Bound on the absolute value of an element of a step, or of its salt, that the circuit accepts."""
    slot = next(s for s in program.slots if s.name == "step")
    return max(program.nodes[i].bound for i in slot.nodes)


def average_program(length: int, table: int, limbs: int) -> Program:
    """Exact division of a weighted sum by 2**table: committed remainder and quotient, any number of trainers.

    The hub computes P(remainder) = P(S) + 2**(t-1) P(1) - 2**t P(delta) itself, t = ``table``, so the circuit
    only checks 0 <= remainder < 2**t and that delta is a signed integer of ``limbs`` * t bits, over
    ``length`` elements with the salt. No equation, hence no challenge: the low limb of delta is computed.
    """
    p = Program(table)
    remainder = p.input("remainder", (length,), 0, table + 1)
    delta = p.input("delta", (length,), 0, limbs * table)
    p.check(remainder, 0, "remainder")
    half = 2 ** (limbs * table - 1)
    low, high = delta, []
    for i in range(1, limbs):
        limb = p.hint(
            "limb", delta, (length,), 0, 2**table, f"delta limb {i}",
            offset=half, modulus=0, pad=0, shift=table * i, width=table,
        )  # fmt: skip
        p.check(limb, 0, f"delta limb {i}")
        low = p.sub(low, p.times(limb, 2 ** (table * i)))
        high.append(limb)
    p.check(low, half, "delta range")
    p.slot("remainder", [remainder], 0)
    p.slot("delta", [delta], 0)
    if high:
        p.slot("advice", high, 1, shifted=True)
    return p
