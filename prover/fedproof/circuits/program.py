"""From a declaration to its float graph and its integer program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from fedproof.circuits.spec import AverageSpec, TrainingSpec, load_spec
from fedproof.errors import CallerError
from fedproof.lowering import Program, average_program, salt_length, step_bound, training_program

if TYPE_CHECKING:
    from fedproof.export import TrainingStep


def training_step(spec: TrainingSpec, root: Path) -> TrainingStep:
    """Return the PyTorch training step that a declaration names. Imports torch and the user's files."""
    import torch  # noqa: PLC0415 - two seconds, and only exporting needs it

    from fedproof.export import TrainingStep, load_attribute  # noqa: PLC0415

    make = load_attribute(spec.model, root)
    loss = load_attribute(spec.loss, root)
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
    return TrainingStep(module, loss, spec.learning_rate, spec.batch, spec.sample, spec.target)


def float_graph(spec: TrainingSpec, root: Path) -> onnx.ModelProto:
    """Export the training step that a declaration names."""
    from fedproof.export import export_step  # noqa: PLC0415 - imports torch

    return export_step(training_step(spec, root))


def vector_length(parameters: int, table: int) -> int:
    """Length of a model, step or update vector: the parameters, then the salt."""
    return parameters + salt_length(table)


def build_program(spec: TrainingSpec | AverageSpec, folder: Path, graph: onnx.ModelProto) -> Program:
    """Return the integer program of a declaration; ``graph`` is the step's, for an average that of ``of``."""
    if isinstance(spec, TrainingSpec):
        return training_program(graph.graph, spec.numbers)
    whole = load_spec(spec.of, folder)
    if not isinstance(whole, TrainingSpec):
        raise CallerError(f"'of' must name a training circuit, {spec.of!r} is not one")
    parameters = (
        next(i for i in graph.graph.input if i.name == "model").type.tensor_type.shape.dim[0].dim_value
    )
    limbs = spec.limbs
    if not limbs:
        # As wide as any average of updates that the training circuit lets through.
        bound = step_bound(training_program(graph.graph, whole.numbers)) * spec.steps
        limbs = -(-(bound.bit_length() + 1) // spec.table)
    return average_program(vector_length(parameters, whole.numbers.table), spec.table, limbs)
