"""From a module to a canonical float ONNX graph: its training step, or its answer to a batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedproof.errors import CallerError
from fedproof.export.check import compare, examples, id_inputs
from fedproof.export.decompositions.batch import FROZEN
from fedproof.export.emit import emit
from fedproof.export.provenance import Recorder
from fedproof.export.step import TrainingStep, flat_parameters, unflatten
from fedproof.export.substitutes import MaskTape, substituted
from fedproof.export.trace import trace

Function = Callable[[Mapping[str, Tensor], Recorder], Mapping[str, Tensor]]


def export_step(step: TrainingStep) -> onnx.ModelProto:
    """Trace, export and check a training step.

    The graph has the inputs ``model`` (D,), ``x``, ``y``, then ``mask`` (B, K) if the module has active
    dropout and ``state`` (D,) if the optimiser has one; outputs ``step`` (D,) and, with a state,
    ``new_state`` (D,). It is run in onnxruntime and compared with torch on random data. Raises
    :class:`CallerError` if the module cannot be traced, has an operator without a canonical form, or the two
    disagree.
    """
    _refuse_running_statistics(step.module)
    theta = torch.from_numpy(flat_parameters(step.module)).float()
    what = f"a training step of {type(step.module).__name__}"
    with _single_precision(step.module):
        return _exported(step.module, step.run, step.inputs(), theta, what)


def export_forward(module: nn.Module, sample_shape: tuple[int, ...], batch: int) -> onnx.ModelProto:
    """Trace, export and check ``y = module(x)`` in evaluation mode.

    The graph has the inputs ``model`` (D,) and ``x`` (batch, *sample_shape), and the output ``y``. Raises as
    :func:`export_step`.
    """

    def answer(inputs: Mapping[str, Tensor], recorder: Recorder) -> dict[str, Tensor]:
        parameters = unflatten(module, inputs["model"])
        tape = MaskTape(batch)

        def predict(parameters: dict[str, Tensor]) -> Tensor:
            prediction: Tensor = torch.func.functional_call(module, parameters, (inputs["x"],))
            return prediction

        with substituted(tape) as table, recorder.watching(module), recorder.using(table):
            # Nobody asks for the gradient; but with it, recurrent cells are traced as their parts.
            return {"y": torch.func.vjp(predict, parameters)[0]}

    theta = torch.from_numpy(flat_parameters(module)).float()
    shapes = {"model": tuple(theta.shape), "x": (batch, *sample_shape)}
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with _single_precision(module):
            return _exported(module, answer, shapes, theta, f"the answer of {type(module).__name__}")
    finally:
        for part, training in modes.items():
            part.training = training


def _exported(
    module: nn.Module, function: Function, shapes: Mapping[str, tuple[int, ...]], theta: Tensor, what: str
) -> onnx.ModelProto:
    given = {"model": theta}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = trace(function, examples(shapes, given), what)
        ids = id_inputs(traced, list(shapes))
        try:
            model = emit(traced, list(shapes))
        except CallerError as e:
            raise CallerError(f"cannot export {what}: {e.message}", hint=e.hint) from e
    # A zero parameter hides what it multiplies: compare at others, too.
    moved = theta + 0.1 * torch.randn(theta.shape, generator=torch.Generator().manual_seed(1))
    for at in (theta, moved):
        compare(
            model,
            module,
            lambda tensors: function(tensors, Recorder(noting=False)),
            examples(shapes, {"model": at}, ids),
        )
    return model


def _refuse_running_statistics(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and part.training and part.running_mean is not None:
            raise CallerError(f"{name}: batch normalisation in training mode", hint=FROZEN)


@contextmanager
def _single_precision(module: nn.Module) -> Iterator[None]:
    """The graph is in float32; a module in float64 goes back there afterwards."""
    double = any(p.dtype == torch.float64 for p in module.parameters())
    module.float()
    try:
        yield
    finally:
        if double:
            module.double()
