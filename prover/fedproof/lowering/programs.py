"""The statements Fedproof proves, as integer programs: a training step, and an exact average."""

from __future__ import annotations

from math import ceil

import onnx

from fedproof.errors import CallerError
from fedproof.lowering.context import Context, Joined
from fedproof.lowering.gadgets import range_check, rescale
from fedproof.lowering.ir import Node, Program
from fedproof.lowering.lower import lower_graph
from fedproof.lowering.numbers import Numbers

#: Entropy of the salt of a committed vector: commitments are deterministic, low-entropy data is guessable.
SALT_BITS = 130


def salt_length(step_bits: int) -> int:
    """Elements of a model, step or update vector that carry its salt, each of ``step_bits`` bits."""
    return ceil(SALT_BITS / step_bits)


def training_program(graph: onnx.GraphProto, numbers: Numbers) -> Program:
    """One SGD step: committed model, batch, step and advice.

    ``graph`` has inputs ``model`` (D), ``x`` (B, ...), ``y`` (B, ...) and the output ``step`` (D), the amount
    to be subtracted from the model. The step is rounded once, to the scale of the weights.

    The batch is range-checked: a sample that is a fraction in the field would let a trainer reach any
    step it likes. The model needs no check: the hub derives its commitment from a registered one by steps
    that were checked.
    """
    shapes = {i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim) for i in graph.input}
    d = shapes["model"][0]
    p = Program(numbers.table)
    ctx = Context(p, numbers)
    salts = salt_length(numbers.step)
    model = p.input("model", (d,), numbers.weights, numbers.model)
    x = p.input("x", shapes["x"], numbers.inputs, numbers.table)
    y = p.input("y", shapes["y"], numbers.targets, numbers.table)
    salt = p.input("step_salt", (salts,), numbers.weights, numbers.step)
    ctx.targets.add(y.id)
    range_check(p, x, 2 ** (numbers.table - 1), numbers.table, "x range")
    range_check(p, y, 2 ** (numbers.table - 1), numbers.table, "y range")
    raw = lower_graph(ctx, graph, {"model": model, "x": x, "y": y})["step"]
    parts = list(raw.parts if isinstance(raw, Joined) else (raw,))
    # Two parameters can have one gradient (two biases added up); each still has its own place in the step.
    for i, part in enumerate(parts):
        if part in parts[:i]:
            parts[i] = p.copy(part, i)
    step = [_rounded(p, part, numbers) for part in parts]
    range_check(p, p.concat([*step, salt], 0), 2 ** (numbers.step - 1), numbers.step, "step range")
    p.slot("model", [model], salts)
    p.slot("batch", [x, y], 1)
    p.slot("step", [*step, salt], 0)
    p.slot("advice", [h for h in p.hints if h not in step], 1)
    return p.prune()


def _rounded(p: Program, part: Node, numbers: Numbers) -> Node:
    q = part.scale - numbers.weights
    if q <= 0:
        raise CallerError(
            f"part of the step has {part.scale} fractional bits, the weights have {numbers.weights}",
            hint="a step needs more fractional bits than the weights it is rounded to: "
            "use fewer bits for weights, more for gradients, or a smaller learning rate",
        )
    return rescale(p, part, q, numbers.step, "step", ranged=False)


def average_program(length: int, table: int) -> Program:
    """Exact division of a weighted sum by 2**table: committed remainder and quotient, any number of trainers.

    The hub computes P(remainder) = P(S) + 2**(t-1) P(1) - 2**t P(delta) itself, t = ``table``, so the circuit
    only checks 0 <= remainder < 2**t and -2**(t-1) <= delta < 2**(t-1), over ``length`` elements
    with the salt.
    """
    p = Program(table)
    remainder = p.input("remainder", (length,), 0, table + 1)
    delta = p.input("delta", (length,), 0, table)
    range_check(p, remainder, 0, table, "remainder")
    range_check(p, delta, 2 ** (table - 1), table, "delta range")
    p.slot("remainder", [remainder], 0)
    p.slot("delta", [delta], 0)
    return p
