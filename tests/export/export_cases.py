"""What the tests of the export share: the canonical set, and a step compared with torch's own autograd."""

import copy

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from fedproof.export import TrainingStep, export_step, flat_parameters
from fedproof.export.operators import TABLES

#: Ops that the lowering is promised never to see anything besides.
STANDARD = {
    "Add",
    "Sub",
    "Mul",
    "Neg",
    "Div",
    "MatMul",
    "Gemm",
    "Conv",
    "ConvTranspose",
    "Transpose",
    "Reshape",
    "Slice",
    "Concat",
    "Split",
    "Gather",
    "Expand",
    "ReduceSum",
    "Where",
    "Greater",
    "Less",
    "GreaterOrEqual",
    "LessOrEqual",
    "Equal",
    "Relu",
    "Clip",
    "Cast",
    "Identity",
}
OWN = {"Softmax", "SoftmaxMasked", "MaxLast", "Rsqrt", "OneHot"} | {f"Table_{name}" for name in TABLES}
#: float32 against float64, relative to the largest element.
CLOSE = 5e-6


class Module(nn.Module):
    """A module made of parts and a function of (self, x)."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def squared(prediction, target):
    return 0.5 * ((prediction - target) ** 2).sum() / prediction.shape[0]


def step_of(module, sample, target=None, loss=squared, batch=4, **more):
    if target is None:
        with torch.no_grad():
            target = tuple(module(torch.zeros(batch, *sample)).shape[1:])
    return TrainingStep(module, loss, 0.25, batch, sample, target, **more)


def assert_canonical(model):
    """Nodes are of the canonical set, comparisons and choices of places have constant operands."""
    onnx.checker.check_model(model)
    constants = {t.name for t in model.graph.initializer}
    for node in model.graph.node:
        assert node.op_type in (OWN if node.domain == "fedproof" else STANDARD), node.op_type
        if node.op_type in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal", "Gather"):
            assert node.input[1] in constants, node
        if node.op_type in ("Reshape", "Slice", "Split", "Expand", "ReduceSum", "Clip"):
            assert set(node.input[1:]) <= constants, node


def run(model, inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    feed = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
    return dict(zip(names, session.run(names, feed), strict=True))


def autograd_step(step, x, y):
    """The step by ``torch.autograd`` in float64, without anything of Fedproof's."""
    module = copy.deepcopy(step.module).double()
    loss = step.loss(module(torch.from_numpy(x)), torch.from_numpy(y))
    gradients = torch.autograd.grad(loss, list(module.parameters()))
    return torch.cat([g.reshape(-1) for g in gradients]).numpy() * step.learning_rate


def exported(step, ids=0, seed=0):
    """Export, check the ops, and compare with torch's autograd. ``ids`` makes x whole numbers below it."""
    model = export_step(step)
    assert_canonical(model)
    rng = np.random.default_rng(seed)
    shape = (step.batch, *step.sample)
    x = rng.integers(0, ids, shape).astype(float) if ids else rng.normal(size=shape)
    y = rng.random((step.batch, *step.target))
    x, y = x.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
    expected = autograd_step(step, x, y)
    found = run(model, {"model": flat_parameters(step.module), "x": x, "y": y})["step"]
    assert np.abs(found - expected).max() <= CLOSE * np.abs(expected).max()
    return model


def ops(model):
    return {node.op_type for node in model.graph.node}
