"""The zoo: every model exports with the losses it is trained with, as a step and as an answer."""

import numpy as np
import onnx.inliner
import pytest
import torch
from export_cases import CLOSE, assert_canonical, exported, ops, run, step_of
from models import losses
from models.cnn import CNN
from models.digits import load, load_28
from models.gru import GRU
from models.lenet import LeNet5
from models.linear import Linear
from models.mlp import MLP
from models.mlp_wide import WideMLP
from models.transformer import Transformer

from fedproof.export import TrainingStep, export_forward, flat_parameters

pytestmark = pytest.mark.reference

#: Class, pixels, parameters.
ZOO = {
    Linear: (64, 650),
    MLP: (64, 1_210),
    WideMLP: (784, 25_450),
    CNN: (64, 384),
    LeNet5: (784, 61_706),
    Transformer: (64, 2_666),
    GRU: (64, 1_418),
}


def _made(kind):
    torch.manual_seed(0)
    return kind()


@pytest.mark.parametrize("kind", ZOO, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("loss", [losses.squared, losses.cross_entropy], ids=lambda loss: loss.__name__)
def test_step(kind, loss):
    pixels, parameters = ZOO[kind]
    step = TrainingStep(_made(kind), loss, 0.25, 8, (pixels,), (10,))
    assert step.parameters == parameters
    exported(step)


@pytest.mark.parametrize("kind", ZOO, ids=lambda kind: kind.__name__)
def test_answer(kind):
    module = _made(kind)
    model = export_forward(module, (ZOO[kind][0],), 4)
    assert_canonical(model)
    assert [i.name for i in model.graph.input] == ["model", "x"]
    x = torch.rand(4, ZOO[kind][0])
    found = run(model, {"model": flat_parameters(module), "x": x})["y"]
    with torch.no_grad():
        wanted = module(x).numpy()
    assert np.abs(found - wanted).max() <= CLOSE * max(np.abs(wanted).max(), 1)
    assert module.training


def test_standard_ops_are_left_when_functions_are_inlined():
    """What ezkl's own path is given."""
    step = step_of(_made(Transformer), (64,), loss=losses.cross_entropy, batch=2)
    model = exported(step)
    inlined = onnx.inliner.inline_local_functions(model)
    onnx.checker.check_model(inlined)
    assert {n.domain for n in inlined.graph.node} == {""}
    assert "Erf" in ops(inlined)
    inputs = {"model": flat_parameters(step.module), "x": np.ones((2, 64)), "y": np.eye(10)[:2]}
    np.testing.assert_allclose(run(inlined, inputs)["step"], run(model, inputs)["step"], atol=1e-7)


def test_enlarged_digits_are_the_digits():
    x, y = load()
    wide, labels = load_28()
    assert wide.shape == (1797, 784)
    assert np.array_equal(labels, y)
    assert wide.min() == 0
    assert wide.max() == 1
    assert np.array_equal(wide * 16, np.round(wide * 16))
    blocks = wide.reshape(-1, 28, 28)[:, 1::7, 1::7].mean((1, 2))
    assert np.corrcoef(blocks, x.mean(1))[0, 1] > 0.5
