"""One SGD step of a module as a float ONNX graph over one flat parameter vector."""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from fedproof.errors import CallerError

Loss = Callable[[Tensor, Tensor], Tensor]
#: Largest difference between torch and onnxruntime on the exported graph, relative to the largest element.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class TrainingStep:
    """``step(theta, x, y) = learning_rate * gradient of loss(module(x), y)``, to be subtracted from theta.

    theta is the flat vector (D,) of all parameters in the module's own order, x is (B, *sample), y is
    (B, *target).
    """

    module: nn.Module
    loss: Loss
    learning_rate: float
    batch: int
    sample: tuple[int, ...]
    target: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """D, the number of parameters."""
        return sum(p.numel() for p in self.module.parameters())

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Return the flat vector as named parameters."""
        named = list(self.module.named_parameters())
        parts = torch.split(theta, [p.numel() for _, p in named])
        return {name: part.reshape(p.shape) for (name, p), part in zip(named, parts, strict=True)}

    def __call__(self, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the step (D,) for one batch."""

        def objective(parameters: dict[str, Tensor]) -> Tensor:
            return self.loss(torch.func.functional_call(self.module, parameters, (x,)), y)

        gradient = torch.func.grad(objective)(self.unflatten(theta))
        return torch.cat([g.reshape(-1) for g in gradient.values()]) * self.learning_rate


def flat_parameters(module: nn.Module) -> np.ndarray[Any, np.dtype[np.float64]]:
    """All parameters of a module as one float64 vector (D,), in the module's own order."""
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()]).double().numpy()


def export_step(step: TrainingStep) -> onnx.ModelProto:
    """Trace, export and check a training step.

    The graph has inputs ``model`` (D,), ``x``, ``y`` and the output ``step`` (D,). It is run in onnxruntime
    and compared with torch on random data. Raises :class:`CallerError` if the module cannot be traced or the
    two disagree.
    """
    generator = torch.Generator().manual_seed(0)
    theta = torch.from_numpy(flat_parameters(step.module)).float()
    x = torch.rand((step.batch, *step.sample), generator=generator)
    y = torch.rand((step.batch, *step.target), generator=generator)
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)  # it reports every optional package that is not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = make_fx(step)(theta, x, y)
            program = torch.onnx.export(
                traced,
                (theta, x, y),
                dynamo=True,
                input_names=["model", "x", "y"],
                output_names=["step"],
                verbose=False,
            )
    except CallerError:
        raise
    # The tracer and the exporter raise whatever the user's module or their own passes raise.
    except Exception as e:
        raise CallerError(
            f"cannot export a training step of {type(step.module).__name__}: {type(e).__name__}: {e}",
            hint="the module must map a batch (B, ...) to a prediction, without control flow on data",
        ) from e
    finally:
        exporter_log.setLevel(level)
    if program is None:
        raise AssertionError("torch.onnx.export(dynamo=True) returned nothing")
    model = program.model_proto
    expected = step(theta, x, y).numpy()
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (actual,) = session.run(["step"], {"model": theta.numpy(), "x": x.numpy(), "y": y.numpy()})
    error = float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-12))
    if error > TOLERANCE:
        raise CallerError(f"the exported step differs from torch by {error:.2e} of its largest element")
    return model


def load_attribute(reference: str, root: Path) -> Any:  # noqa: ANN401 - whatever the user's file defines
    """Return what ``FILE.py:NAME`` refers to, the file relative to ``root``."""
    file, _, attribute = reference.partition(":")
    path = (root / file).resolve()
    if not attribute or path.suffix != ".py":
        raise CallerError(f"{reference!r} is not of the form FILE.py:NAME")
    if not path.is_file():
        raise CallerError(f"{reference!r}: no file {file} in the project folder")
    # A private module name: the user's folder never shadows an installed package.
    name = f"fedproof_user_{path.stem}_{abs(hash(path)):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CallerError(f"{reference!r}: {file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        raise CallerError(f"{reference!r}: importing {file} failed: {type(e).__name__}: {e}") from e
    try:
        return getattr(module, attribute)
    except AttributeError as e:
        raise CallerError(f"{reference!r}: {file} defines no {attribute}") from e
