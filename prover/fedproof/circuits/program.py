"""From a declaration to its float graph and its integer program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from fedproof.circuits.imported import forward_graph, training_graph
from fedproof.circuits.spec import (
    AnySpec,
    AverageSpec,
    EvaluationSpec,
    ForwardSpec,
    TrainingSpec,
    numbers_of,
    training_of,
)
from fedproof.errors import CallerError
from fedproof.lowering import Program, average_program, salt_length, step_bound, training_program
from fedproof.lowering.programs import evaluation_program, inference_program

if TYPE_CHECKING:
    from torch import nn

    from fedproof.export import TrainingStep


def training_step(spec: TrainingSpec, root: Path) -> TrainingStep:
    """Return the PyTorch training step that a declaration names. Imports torch and the user's files."""
    from fedproof.export import SGD, TrainingStep, load_attribute  # noqa: PLC0415 - two seconds

    if spec.loss is None:
        raise CallerError(f"{spec.graph} is a graph, not a PyTorch module with a loss")
    module, loss = _module(spec, root), load_attribute(spec.loss, root)
    more = spec.optimiser
    optimiser = SGD(spec.learning_rate, more.momentum, more.weight_decay, more.clip) if more else None
    return TrainingStep(
        module, loss, spec.learning_rate, spec.batch, spec.sample, spec.target, optimiser=optimiser
    )


def _module(spec: TrainingSpec, root: Path) -> nn.Module:
    import torch  # noqa: PLC0415 - two seconds, and only exporting needs it

    from fedproof.export import load_attribute  # noqa: PLC0415

    assert spec.model is not None
    make = load_attribute(spec.model, root)
    # A declaration stands for one model: its initial weights do not depend on what ran before.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            module = make()
        # Whatever the user's constructor raises.
        except Exception as e:
            raise CallerError(f"{spec.model} cannot be made: {type(e).__name__}: {e}") from e
    if not isinstance(module, torch.nn.Module):
        raise CallerError(f"{spec.model} is a {type(module).__name__}, not a torch.nn.Module")
    return module


def float_graph(spec: AnySpec, root: Path, folder: Path | None = None) -> onnx.ModelProto:
    """Return the float graph of a declaration: a training step, or the answer to a batch.

    An average has that of its training circuit. ``folder`` holds the declarations; without, it is
    ``root/circuits``.
    """
    whole = training_of(spec, folder or root / "circuits")
    if isinstance(spec, ForwardSpec):
        return _forward(spec, whole, root)
    if whole.graph is not None:
        x, y = (whole.batch, *whole.sample), (whole.batch, *whole.target)
        return training_graph(root / whole.graph, x, y)
    from fedproof.export import export_step  # noqa: PLC0415 - imports torch

    return export_step(training_step(whole, root))


def _forward(spec: ForwardSpec, whole: TrainingSpec, root: Path) -> onnx.ModelProto:
    from fedproof.export import export_forward  # noqa: PLC0415 - imports torch

    if spec.graph is None:
        return export_forward(_module(whole, root), whole.sample, spec.batch)
    graph = forward_graph(root / spec.graph, (spec.batch, *whole.sample))
    if whole.graph is not None:
        x, y = (whole.batch, *whole.sample), (whole.batch, *whole.target)
        wanted = parameters(training_graph(root / whole.graph, x, y))
    else:
        wanted = sum(p.numel() for p in _module(whole, root).parameters())
    if parameters(graph) != wanted:
        raise CallerError(
            f"{spec.graph} has {parameters(graph)} weights, the model of {spec.of!r} has {wanted}"
        )
    return graph


def parameters(graph: onnx.ModelProto) -> int:
    """D: the length of the input ``model``."""
    model = next(i for i in graph.graph.input if i.name == "model")
    return int(model.type.tensor_type.shape.dim[0].dim_value)


def vector_length(parameters: int, table: int) -> int:
    """Length of a model, step or update vector: the parameters, then the salt."""
    return parameters + salt_length(table)


def build_program(spec: AnySpec, folder: Path, graph: onnx.ModelProto) -> Program:
    """Return the integer program of a declaration; ``graph`` is as of :func:`float_graph`.

    ``folder`` holds the declarations: that of the training circuit is read from it.
    """
    if isinstance(spec, TrainingSpec):
        return training_program(graph.graph, spec.numbers)
    whole = training_of(spec, folder)
    if isinstance(spec, AverageSpec):
        limbs = spec.limbs
        if not limbs:
            # As wide as any average of updates that the training circuit lets through.
            bound = step_bound(training_program(graph.graph, whole.numbers)) * spec.steps
            limbs = -(-(bound.bit_length() + 1) // spec.table)
        return average_program(vector_length(parameters(graph), whole.numbers.table), spec.table, limbs)
    numbers = numbers_of(spec, whole)
    if not isinstance(spec, EvaluationSpec):
        return inference_program(graph.graph, numbers)
    if len(whole.target) != 1:
        raise CallerError(
            f"an evaluation needs targets of one axis, a score a class; "
            f"those of {spec.of!r} are {whole.target}"
        )
    return evaluation_program(graph.graph, numbers, whole.target[0])
