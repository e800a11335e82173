"""One training step of a module, over one flat parameter vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedproof.errors import CallerError
from fedproof.export.optimiser import SGD, Optimiser
from fedproof.export.provenance import Recorder
from fedproof.export.substitutes import MaskTape, substituted

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TrainingStep:
    """``step(theta, x, y)``, to be subtracted from theta: an optimiser's answer to the gradient of the loss.

    theta is the flat vector (D,) of all parameters in the module's own order, x is (B, *sample), y is
    (B, *target). Without an ``optimiser`` it is plain SGD at ``learning_rate``. A module with active dropout
    takes a ``mask`` (B, K) as well, 1 to keep and 0 to drop; an optimiser with a state takes and returns one
    (D,).
    """

    module: nn.Module
    loss: Loss
    learning_rate: float
    batch: int
    sample: tuple[int, ...]
    target: tuple[int, ...]
    optimiser: Optimiser | None = None

    @property
    def parameters(self) -> int:
        """D, the number of parameters."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def rule(self) -> Optimiser:
        """The optimiser in use."""
        return self.optimiser or SGD(self.learning_rate)

    @property
    def mask_length(self) -> int:
        """K, the elements of a dropout mask that a sample takes; 0 without dropout. Runs the module."""
        tape, recorder = MaskTape(self.batch), Recorder()
        like = next(self.module.parameters())
        try:
            with (
                torch.no_grad(),
                substituted(tape) as table,
                recorder.watching(self.module),
                recorder.using(table),
            ):
                self.module(torch.zeros((self.batch, *self.sample), dtype=like.dtype))
        except CallerError:
            raise
        # Whatever the user's module raises.
        except Exception as e:
            raise CallerError(
                f"{recorder.at}: {type(self.module).__name__} fails on a batch of "
                f"{self.batch} samples of shape {self.sample}: {type(e).__name__}: {e}"
            ) from e
        return tape.used

    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of what a step takes, in order: model, x, y, then mask and state if any."""
        shapes = {
            "model": (self.parameters,),
            "x": (self.batch, *self.sample),
            "y": (self.batch, *self.target),
        }
        if self.mask_length:
            shapes["mask"] = (self.batch, self.mask_length)
        if self.rule.stateful:
            shapes["state"] = (self.parameters,)
        return shapes

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Return the flat vector as named parameters."""
        return unflatten(self.module, theta)

    def __call__(self, theta: Tensor, x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the step (D,) for one batch, of an optimiser without a state."""
        inputs = {"model": theta, "x": x, "y": y} | ({} if mask is None else {"mask": mask})
        return self.run(inputs)["step"]

    def run(self, inputs: Mapping[str, Tensor], recorder: Recorder | None = None) -> dict[str, Tensor]:
        """Return ``step`` (D,), and ``new_state`` (D,) if any. Inputs as in :meth:`inputs`."""
        recorder = recorder or Recorder(noting=False)
        tape = MaskTape(self.batch, inputs.get("mask"))

        def objective(parameters: dict[str, Tensor]) -> Tensor:
            with substituted(tape) as table, recorder.watching(self.module), recorder.using(table):
                prediction = torch.func.functional_call(self.module, parameters, (inputs["x"],))
                with recorder.inside("loss"):
                    return self.loss(prediction, inputs["y"])

        theta = self.unflatten(inputs["model"])
        gradient = torch.func.grad(objective)(theta)
        recorder.leave()
        if tape.used and tape.mask is None:
            raise CallerError(
                f"the module drops elements at random and no mask of {tape.used} elements a sample was given",
                hint="pass mask=, or switch the dropout off with .eval()",
            )
        states: dict[str, Tensor | None] = dict.fromkeys(theta)
        if self.rule.stateful:
            states |= self.unflatten(inputs["state"])
        with recorder.using({}), recorder.inside("optimiser"):
            moved = {name: self.rule(gradient[name], theta[name], states[name]) for name in theta}
        out = {"step": torch.cat([step.reshape(-1) for step, _ in moved.values()])}
        if self.rule.stateful:
            out["new_state"] = torch.cat([v.reshape(-1) for _, v in moved.values() if v is not None])
        return out


def unflatten(module: nn.Module, theta: Tensor) -> dict[str, Tensor]:
    """Return a flat vector (D,) as the named parameters of a module."""
    named = list(module.named_parameters())
    parts = torch.split(theta, [p.numel() for _, p in named])
    return {name: part.reshape(p.shape) for (name, p), part in zip(named, parts, strict=True)}


def flat_parameters(module: nn.Module) -> np.ndarray[Any, np.dtype[np.float64]]:
    """All parameters of a module as one float64 vector (D,), in the module's own order."""
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()]).double().numpy()
