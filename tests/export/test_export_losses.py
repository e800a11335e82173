"""Losses: each step is torch's, and no more is left of it than its gradient needs."""

import numpy as np
import pytest
import torch
from export_cases import exported, ops, run, step_of
from models import losses
from torch import nn
from torch.nn import functional

from fedproof.export import export_step, flat_parameters

pytestmark = pytest.mark.reference


def linear():
    torch.manual_seed(0)
    return nn.Linear(6, 5)


#: Loss, and the ops of domain fedproof that its gradient may use.
OURS = {
    losses.squared: set(),
    losses.absolute: set(),
    losses.huber: set(),
    losses.cross_entropy: {"Softmax"},
    losses.binary_cross_entropy: {"Table_sigmoid"},
    losses.hinge: set(),
}
TORCHS = [
    functional.mse_loss,
    functional.l1_loss,
    functional.huber_loss,
    functional.smooth_l1_loss,
    functional.cross_entropy,
    functional.binary_cross_entropy_with_logits,
    lambda p, y: functional.huber_loss(p, y, delta=0.3, reduction="sum"),
    lambda p, y: functional.cross_entropy(p, y, label_smoothing=0.1),
    lambda p, y: -(functional.log_softmax(p, -1) * y).sum(),
    lambda p, y: -(torch.log(torch.softmax(p, -1)) * y).mean(),
    lambda p, y: functional.kl_div(functional.log_softmax(p, -1), y, reduction="batchmean"),
    lambda p, y: functional.binary_cross_entropy_with_logits(p, y, pos_weight=torch.tensor(2.0)),
]


@pytest.mark.parametrize("loss", OURS, ids=lambda f: f.__name__)
def test_loss_of_the_zoo(loss):
    model = exported(step_of(linear(), (6,), loss=loss))
    assert {n.op_type for n in model.graph.node if n.domain == "fedproof"} == OURS[loss]


@pytest.mark.parametrize("loss", TORCHS, ids=[str(i) for i in range(len(TORCHS))])
def test_loss_of_torch(loss):
    exported(step_of(linear(), (6,), loss=loss))


def test_the_gradient_of_cross_entropy_is_softmax_minus_target():
    model = exported(step_of(linear(), (6,), loss=losses.cross_entropy))
    counts = {op: sum(n.op_type == op for n in model.graph.node) for op in ops(model)}
    assert counts["Softmax"] == 1
    assert counts["ReduceSum"] == 1  # the bias's: the targets are not added up


def test_targets_as_classes():
    step = step_of(linear(), (6,), target=(), loss=lambda p, y: functional.cross_entropy(p, y.long()))
    model = export_step(step)
    assert {"OneHot", "Softmax"} <= ops(model)
    x, y = torch.rand(4, 6), torch.tensor([0.0, 3, 4, 1])
    module = step.module
    loss = functional.cross_entropy(module(x), y.long())
    wanted = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(module.parameters()))]) * 0.25
    found = run(model, {"model": flat_parameters(module), "x": x, "y": y})["step"]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
