"""Inputs and outputs of a step: dropout masks, optimisers and their state, double precision."""

import numpy as np
import pytest
import torch
from export_cases import CLOSE, assert_canonical, run, squared, step_of
from torch import nn
from torch.nn import functional

from fedproof.errors import CallerError
from fedproof.export import SGD, TrainingStep, export_forward, export_step, flat_parameters

pytestmark = pytest.mark.reference


def _network(dropout):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Dropout2d(dropout), nn.Flatten(), nn.Dropout(dropout), nn.Linear(12, 2)
    )


def test_dropout_is_an_input():
    step = step_of(_network(0.25), (1, 4, 4))
    assert step.inputs()["mask"] == (4, 3 + 12)
    model = export_step(step)
    assert_canonical(model)
    assert [i.name for i in model.graph.input] == ["model", "x", "y", "mask"]
    x, y, mask = torch.rand(4, 1, 4, 4), torch.rand(4, 2), torch.randint(0, 2, (4, 15)).float()
    conv, _, _, _, linear = module = step.module
    h = conv(x) * mask[:, :3, None, None] / 0.75
    loss = squared(linear(h.flatten(1) * mask[:, 3:] / 0.75), y)
    wanted = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(module.parameters()))]) * 0.25
    theta = flat_parameters(module)
    found = run(model, {"model": theta, "x": x, "y": y, "mask": mask})["step"]
    assert np.abs(found - wanted.numpy()).max() <= CLOSE * float(wanted.abs().max())
    again = step(torch.from_numpy(theta).float(), x, y, mask)
    np.testing.assert_allclose(again, wanted, atol=1e-6)
    with pytest.raises(CallerError, match="no mask of 15 elements a sample was given"):
        step(torch.from_numpy(theta).float(), x, y)


def test_dropout_is_gone_in_evaluation_and_in_answers():
    step = step_of(_network(0.25).eval(), (1, 4, 4))
    assert "mask" not in step.inputs()
    module = _network(0.25)
    model = export_forward(module, (1, 4, 4), 4)
    assert [i.name for i in model.graph.input] == ["model", "x"]
    assert module[1].training


def test_dropout_inside_attention_takes_its_mask():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    step = step_of(layer, (4, 8))
    assert step.mask_length == 2 * 4 * 4 + 4 * 8 + 4 * 16 + 4 * 8
    assert_canonical(export_step(step))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("decay", [0.0, 0.25])
def test_the_optimiser_is_torchs(momentum, decay):
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    rule = SGD(0.125, momentum=momentum, weight_decay=decay)
    step = step_of(module, (3,), optimiser=rule)
    model = export_step(step)
    assert_canonical(model)
    assert ("state" in step.inputs()) == (momentum != 0)
    theirs = torch.optim.SGD(module.parameters(), lr=0.125, momentum=momentum, weight_decay=decay)
    theta, state = flat_parameters(module), np.zeros(8)
    for _ in range(3):
        x, y = torch.rand(4, 3), torch.rand(4, 2)
        inputs = {"model": theta, "x": x, "y": y} | ({"state": state} if momentum else {})
        found = run(model, inputs)
        theta, state = theta - found["step"], found.get("new_state", state)
        theirs.zero_grad()
        squared(module(x), y).backward()
        theirs.step()
    np.testing.assert_allclose(theta, flat_parameters(module), atol=1e-6)


def test_clipping_is_by_value():
    module = nn.Linear(3, 2)
    step = step_of(module, (3,), optimiser=SGD(1.0, clip=0.01))
    model = export_step(step)
    assert_canonical(model)
    found = run(model, {"model": flat_parameters(module), "x": np.ones((4, 3)), "y": np.full((4, 2), 9.0)})[
        "step"
    ]
    np.testing.assert_allclose(np.abs(found), 0.01, rtol=1e-6)


def test_a_step_runs_in_double_precision_and_exports_in_single():
    module = nn.Linear(3, 2).double()
    step = TrainingStep(module, squared, 0.25, 4, (3,), (2,))
    assert (
        step(torch.zeros(8).double(), torch.ones(4, 3).double(), torch.ones(4, 2).double()).dtype
        == torch.float64
    )
    export_step(step)
    assert module.weight.dtype == torch.float64


def test_torch_is_left_as_it_was():
    before = (
        functional.dropout,
        functional.scaled_dot_product_attention,
        functional.one_hot,
        torch.backends.mha.get_fastpath_enabled(),
    )
    module = nn.Linear(3, 2)
    export_step(step_of(module, (3,)))
    assert (
        functional.dropout,
        functional.scaled_dot_product_attention,
        functional.one_hot,
        torch.backends.mha.get_fastpath_enabled(),
    ) == before
    assert not module._forward_pre_hooks
    assert not module._forward_hooks
