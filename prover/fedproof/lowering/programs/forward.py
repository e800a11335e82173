"""What a model answers: an inference, and how many of its answers are right."""

from __future__ import annotations

import onnx

from fedproof.errors import CallerError
from fedproof.lowering.context import REGISTRY, Context, Joined
from fedproof.lowering.gadgets import bit
from fedproof.lowering.ir import Node, Program
from fedproof.lowering.lower import lower_graph
from fedproof.lowering.numbers import Numbers
from fedproof.lowering.programs.parts import (
    at_scale,
    declare_data,
    declare_model,
    input_shapes,
    salt_length,
)


def inference_program(graph: onnx.GraphProto, numbers: Numbers) -> Program:
    """``y = f(model, x)``: committed model, batch, answer and advice.

    ``graph`` has inputs ``model`` (D) and ``x`` (B, ...), and one output. The answer is rounded to the bits
    of an activation.
    """
    p, ctx, model, batch, answer = _forward(graph, numbers, {})
    # In the order of the samples, not part by part.
    whole = ctx.materialise(answer) if isinstance(answer, Joined) else answer
    rounded = at_scale(ctx, whole, numbers.activations, numbers.range, "answer")
    return _closed(p, numbers, model, batch, "answer", rounded)


def evaluation_program(graph: onnx.GraphProto, numbers: Numbers, classes: int) -> Program:
    """The number of right answers on a committed test set: model, batch with labels, count and advice.

    ``graph`` has inputs ``model`` (D) and ``x`` (B, ...) and one output (B, C). Labels are one-hot (B, C),
    and checked to be; an answer is right if the label is the first of the largest scores, as ``argmax`` has
    it. The count is committed without salt: whoever is told it can open it.
    """
    p, ctx, model, batch, answer = _forward(graph, numbers, {})
    scores = ctx.materialise(answer) if isinstance(answer, Joined) else answer
    if len(scores.shape) != 2 or scores.shape[1] != classes:
        raise CallerError(f"the answer has shape {scores.shape}; an evaluation needs (B, {classes}) scores")
    labels = declare_data(p, "y", scores.shape, 0)
    bit(p, labels, "labels")
    p.equate([(1, p.sum(labels, (1,), keepdims=False))], -1, "one label")
    ctx.values["scores"] = scores
    node = onnx.helper.make_node("MaxLast", ["scores"], ["largest", "first"], domain="fedproof")
    result = REGISTRY["fedproof::MaxLast"](ctx, node)
    assert isinstance(result, tuple)
    first = result[1]
    assert isinstance(first, Node)
    right = p.sum(p.mul(first, labels), (0, 1), keepdims=False)
    count = at_scale(ctx, p.reshape(right, (1,)), 0, numbers.range, "count")
    return _closed(p, numbers, model, [*batch, labels], "count", count)


def _forward(
    graph: onnx.GraphProto, numbers: Numbers, more: dict[str, Node]
) -> tuple[Program, Context, Node, list[Node], Node | Joined]:
    shapes = input_shapes(graph)
    if set(shapes) != {"model", "x", *more}:
        raise CallerError(f"an answer depends on 'model' and 'x'; the graph has inputs {sorted(shapes)}")
    if len(graph.output) != 1:
        raise CallerError(f"the graph has {len(graph.output)} outputs, an answer is one")
    p = Program(numbers.table)
    ctx = Context(p, numbers)
    model = declare_model(p, shapes["model"][0], numbers)
    x = declare_data(p, "x", shapes["x"], numbers.inputs)
    results = lower_graph(ctx, graph, {"model": model, "x": x, **more})
    return p, ctx, model, [x], next(iter(results.values()))


def _closed(
    p: Program, numbers: Numbers, model: Node, batch: list[Node], name: str, result: list[Node]
) -> Program:
    p.count_lookups()
    placed = {n.id for n in (model, *batch, *result)}
    p.slot("model", [model], salt_length(numbers.table))
    p.slot("batch", batch, 1, shifted=True)
    p.slot(name, result, 0)
    p.slot("advice", [h for h in p.hints if h.id not in placed], 1, shifted=True)
    return p.prune()
