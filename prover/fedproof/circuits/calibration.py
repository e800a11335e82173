"""Real batches for a training circuit, and what its integers make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedproof.circuits.spec import TrainingSpec
from fedproof.errors import CallerError
from fedproof.lowering import Program, evaluate, quantize
from fedproof.lowering.ir import IntArray

if TYPE_CHECKING:
    from fedproof.export import TrainingStep

Floats = NDArray[Any]
#: Every how many samples one is held out from training.
HELD_OUT = 5


@dataclass(frozen=True)
class Case:
    """A model (D,), a batch, the dropout mask if any, and the step (D,) in float64."""

    inputs: dict[str, Floats]
    step: Floats


def read_data(reference: str, spec: TrainingSpec, root: Path) -> tuple[Floats, Floats]:
    """Return samples (N, *sample) and targets (N, *target).

    ``reference`` is an .npz file with ``x`` and ``y``, or ``FILE.py:FUNCTION`` in the project, which returns
    both. Raises :class:`CallerError` where they do not have the circuit's shapes.
    """
    from fedproof.export import load_attribute  # noqa: PLC0415 - imports torch

    if reference.endswith(".npz"):
        try:
            with np.load(reference) as file:
                x, y = (np.asarray(file[name], dtype=np.float64) for name in ("x", "y"))
        except (OSError, KeyError, ValueError) as e:
            raise CallerError(f"{reference} has no arrays x and y: {e}") from e
    else:
        x, y = (np.asarray(part, dtype=np.float64) for part in load_attribute(reference, root)())
    for name, array, shape in (("x", x, spec.sample), ("y", y, spec.target)):
        if len(array) < spec.batch or array[0].size != prod(shape):
            raise CallerError(
                f"{reference}: {name} has shape {array.shape}, the circuit takes at least "
                f"{spec.batch} of {shape}"
            )
    return x.reshape(-1, *spec.sample), y.reshape(-1, *spec.target)


class Calibration:
    """Steps of a model at its start and in the middle of its training, on batches that it was not trained on.

    ``steps`` of float64 training, at most an epoch, lead to the second. The order depends on ``seed`` alone.
    """

    def __init__(
        self, step: TrainingStep, x: Floats, y: Floats, *, batches: int = 4, steps: int = 100, seed: int = 0
    ) -> None:
        from fedproof.export import flat_parameters  # noqa: PLC0415

        self.step = step
        step.module.double()
        self._mask_length = step.mask_length
        self._generator = np.random.default_rng(seed)
        order = self._generator.permutation(len(x))
        held = order[::HELD_OUT] if len(x) >= HELD_OUT * step.batch else order
        self.test = x[held], y[held]
        self.train = x[np.setdiff1d(order, held)], y[np.setdiff1d(order, held)]
        if len(self.train[0]) < step.batch:
            self.train = self.test
        self.start: Floats = flat_parameters(step.module)
        self.trained = self.in_floats(self.start, self.order(1)[:steps])
        self.cases = [self._case(theta, i) for theta in (self.start, self.trained) for i in range(batches)]

    def in_floats(self, theta: Floats, order: list[dict[str, Floats]]) -> Floats:
        """Return the model after training in float64 on the batches of :meth:`order`."""
        state = np.zeros_like(theta)
        for inputs in order:
            out = self._run(inputs | {"model": theta} | self._state(state))
            theta, state = theta - out["step"], out.get("new_state", state)
        return theta

    def in_integers(self, program: Program, theta: Floats, order: list[dict[str, Floats]]) -> Floats:
        """Return the model after training by an integer program on the batches of :meth:`order`.

        Raises :class:`CallerError` where a value leaves its range.
        """
        state = np.zeros_like(theta)
        for inputs in order:
            values = integers(program, inputs | {"model": theta} | self._state(state))
            theta = theta - result(program, values, "step")
            if self.step.rule.stateful:
                state = result(program, values, "new_state")
        return theta

    def order(self, epochs: int) -> list[dict[str, Floats]]:
        """Batches of whole epochs, the same at every call."""
        x, y = self.train
        generator, size = np.random.default_rng(1), self.step.batch
        found = []
        for _ in range(epochs):
            order = generator.permutation(len(x))
            for i in range(0, len(x) - size + 1, size):
                chosen = order[i : i + size]
                found.append({"x": x[chosen], "y": y[chosen]} | self._mask(generator))
        return found

    def accuracy(self, theta: Floats) -> float | None:
        """Share of the held-out samples whose largest score is at the target's; None for one score."""
        import torch  # noqa: PLC0415

        x, y = self.test
        if y.ndim != 2 or y.shape[1] < 2:
            return None
        parameters = self.step.unflatten(torch.from_numpy(theta))
        self.step.module.eval()
        with torch.no_grad():
            scores = torch.func.functional_call(self.step.module, parameters, (torch.from_numpy(x),)).numpy()
        self.step.module.train()
        return float((scores.argmax(1) == y.argmax(1)).mean())

    def error(self, program: Program) -> float:
        """Largest error of an element of a step, relative to the largest element of that step.

        Raises :class:`CallerError` where a value leaves its range.
        """
        worst = 0.0
        for case in self.cases:
            found = result(program, integers(program, case.inputs), "step")
            scale = float(np.abs(case.step).max()) or 1.0
            worst = max(worst, float(np.abs(found - case.step).max()) / scale)
        return worst

    # -- parts --------------------------------------------------------------------------------------

    def _case(self, theta: Floats, i: int) -> Case:
        x, y = self.test
        chosen = np.arange(i * self.step.batch, (i + 1) * self.step.batch) % len(x)
        inputs = {"model": theta, "x": x[chosen], "y": y[chosen]} | self._mask(self._generator)
        inputs |= self._state(np.zeros_like(theta))
        return Case(inputs, self._run(inputs)["step"])

    def _mask(self, generator: np.random.Generator) -> dict[str, Floats]:
        shape = (self.step.batch, self._mask_length)
        return {"mask": generator.integers(0, 2, shape) * 1.0} if self._mask_length else {}

    def _state(self, state: Floats) -> dict[str, Floats]:
        return {"state": state} if self.step.rule.stateful else {}

    def _run(self, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
        import torch  # noqa: PLC0415

        out = self.step.run({name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.detach().numpy() for name, value in out.items()}


def integers(program: Program, inputs: Mapping[str, Floats]) -> dict[int, IntArray]:
    """Evaluate a program on real numbers; salts are zero. Raises :class:`CallerError` out of range."""
    given = {}
    for node in program.nodes:
        if node.op == "input":
            name = str(node.attr("name"))
            real = inputs.get(name, np.zeros(node.shape))
            given[name] = quantize(real.reshape(node.shape), node.scale, name)
    return evaluate(program, given)


def result(program: Program, values: Mapping[int, IntArray], name: str) -> Floats:
    """Return a committed vector without its salt, as real numbers."""
    slot = next(s for s in program.slots if s.name == name)
    nodes = [program.nodes[i] for i in slot.nodes if program.nodes[i].op != "input"]
    parts: list[Any] = [values[n.id].ravel() * 2.0**-n.scale for n in nodes]
    return np.concatenate(parts)
