"""What the loss of a step was, in floats: for the log of a loop. No proof speaks about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fedproof.circuits.store import Circuit
from fedproof.errors import CallerError
from fedproof.project import Project
from fedproof.rounds.dataset import Batch
from fedproof.rounds.vectors import ModelVector, training_spec

#: The loss of a model on a batch.
LossOf = Callable[[ModelVector, Batch], float]


def declared_loss(circuit: Circuit, project: Project | None = None) -> LossOf:
    """Return the loss that a circuit declares, computed with PyTorch on the module of the project.

    Raises :class:`CallerError` without a module and a loss, and for one with dropout, whose mask a plain
    call would not take.
    """
    import torch  # noqa: PLC0415 - two seconds

    from fedproof.circuits.program import training_step  # noqa: PLC0415

    spec = training_spec(circuit)
    step = training_step(spec, (project or Project.find()).root)
    module, loss, numbers = step.module.double().eval(), step.loss, circuit.numbers

    def of(model: ModelVector, batch: Batch) -> float:
        if batch.mask is not None:
            raise CallerError(f"{circuit.name!r} drops elements: its loss depends on the mask")
        theta = step.unflatten(torch.from_numpy(model.floats))
        x = torch.from_numpy(np.ldexp(batch.x.astype(np.float64), -numbers.inputs))
        y = torch.from_numpy(np.ldexp(batch.y.astype(np.float64), -numbers.targets))
        with torch.no_grad():
            return float(loss(torch.func.functional_call(module, theta, (x,)), y))

    return of
