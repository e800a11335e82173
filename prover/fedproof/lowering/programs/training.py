"""One training step."""

from __future__ import annotations

import onnx

from fedproof.lowering.context import Context
from fedproof.lowering.gadgets import signed
from fedproof.lowering.ir import Node, Program
from fedproof.lowering.lower import lower_graph
from fedproof.lowering.numbers import Numbers
from fedproof.lowering.programs.parts import (
    at_scale,
    declare_data,
    declare_mask,
    declare_model,
    input_shapes,
    salt_length,
)


def training_program(graph: onnx.GraphProto, numbers: Numbers) -> Program:
    """One step of an optimiser: committed model, batch, step, the optimiser's state if any, and advice.

    ``graph`` has inputs ``model`` (D), ``x`` (B, ...), ``y`` (B, ...), perhaps ``mask`` and ``state`` (D),
    and the outputs ``step`` (D), the amount to be subtracted from the model, and ``new_state`` (D). Where the
    weights have as many fractional bits as a part of the step comes to, that part is exact; where they have
    fewer, it is rounded once. The state is rounded to the scale of the weights.
    """
    shapes = input_shapes(graph)
    p = Program(numbers.table)
    ctx = Context(p, numbers)
    salts = salt_length(numbers.table)
    model = declare_model(p, shapes["model"][0], numbers)
    x = declare_data(p, "x", shapes["x"], numbers.inputs)
    y = declare_data(p, "y", shapes["y"], numbers.targets)
    ctx.targets.add(y.id)
    inputs = {"model": model, "x": x, "y": y}
    batch = [x, y]
    if "mask" in shapes:
        inputs["mask"] = declare_mask(p, shapes["mask"])
        batch.append(inputs["mask"])
    if "state" in shapes:
        # No check: a step's state is the one that the step before it proved, or zero.
        inputs["state"] = p.input("state", shapes["state"], numbers.weights, numbers.model)
        ctx.targets.add(inputs["state"].id)
    results = lower_graph(ctx, graph, inputs)
    step = at_scale(ctx, results["step"], numbers.weights, numbers.step, "step")
    salt = _salt(p, "step_salt", salts, numbers)
    named: list[tuple[str, list[Node], int, bool]] = [
        ("model", [model], salts, False),
        ("batch", batch, 1, True),
        ("step", [*step, salt], 0, False),
    ]
    if "state" in shapes:
        state = at_scale(ctx, results["new_state"], numbers.weights, numbers.model, "state", step)
        named.append(("state", [inputs["state"]], salts, False))
        named.append(("new_state", [*state, _salt(p, "state_salt", salts, numbers)], 0, False))
    p.count_lookups()
    placed = {node.id for _, nodes, _, _ in named for node in nodes}
    for name, nodes, free, shifted in named:
        p.slot(name, nodes, free, shifted=shifted)
    p.slot("advice", [h for h in p.hints if h.id not in placed], 1, shifted=True)
    return p.prune()


def _salt(p: Program, name: str, length: int, numbers: Numbers) -> Node:
    salt = p.input(name, (length,), numbers.weights, numbers.table)
    signed(p, salt, numbers.table, f"{name} range")
    return salt


def step_bound(program: Program) -> int:
    """Bound on the absolute value of an element of a step, or of its salt, that the circuit accepts."""
    slot = next(s for s in program.slots if s.name == "step")
    return max(program.nodes[i].bound for i in slot.nodes)
