"""Errors name the module, the line and what to do; nodes know where they come from."""

import pytest
import torch
from export_cases import Module, squared, step_of
from torch import nn

from fedproof.errors import CallerError
from fedproof.export import export_step

pytestmark = pytest.mark.reference
HERE = r"\S*test_export_errors\.py:\d+"


class Inner(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.function = function

    def forward(self, x):
        return self.function(self.linear(x))


def _nested(function):
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), Inner(function)))


REFUSED = {
    "special function": (torch.lgamma, rf"1\.1 \({HERE}\).*aten\.lgamma.*no canonical form"),
    "sorting": (lambda h: h.sort(-1)[0], rf"1\.1 \({HERE}\).*aten\.sort.*no canonical form"),
    "power": (lambda h: h.abs() ** 1.5, rf"1\.1 \({HERE}\).*power of 1\.5.*whole exponents"),
    "branch": (lambda h: h if h.sum() > 0 else -h, r"1\.1.*depends on the data.*torch\.where"),
    "item": (lambda h: h * float(h[0, 0]), r"1\.1.*depends on the data.*torch\.where"),
    "random": (lambda h: h * torch.rand_like(h), rf"1\.1 \({HERE}\).*random numbers.*part of the sample"),
    "dynamic": (lambda h: h[h > 0].sum().reshape(1, 1) * h, r"1\.1.*where the data say"),
    "mask of data": (
        lambda h: torch.softmax(h.masked_fill(h > 0, float("-inf")), -1),
        rf"1\.1 \({HERE}\).*infinite.*constant mask",
    ),
    "three dimensions": (
        lambda h: nn.functional.conv3d(h.reshape(-1, 1, 1, 2, 2), torch.ones(1, 1, 1, 1, 1)).reshape(-1, 4),
        rf"1\.1 \({HERE}\).*convolution over 3 dimensions",
    ),
    "programming error": (lambda h: h @ torch.ones(3, 3), rf"1\.1 \({HERE}\).*RuntimeError.*shapes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_placed(name):
    function, message = REFUSED[name]
    with pytest.raises(CallerError, match=message):
        export_step(step_of(_nested(function), (4,), target=(4,)))


def test_batch_statistics_are_refused():
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten())
    with pytest.raises(CallerError, match=r"1: batch normalisation in training mode.*\.eval\(\)"):
        export_step(step_of(module, (1, 2, 2), target=(8,)))


def test_nodes_know_where_they_come_from():
    model = export_step(step_of(_nested(torch.tanh), (4,), loss=squared))
    found = {n.op_type: {p.key: p.value for p in n.metadata_props} for n in model.graph.node}
    tanh = found["Table_tanh"]
    assert tanh["module"] == "1.1"
    assert tanh["source"].partition(":")[0].endswith("test_export_errors.py")
    assert tanh["op"] == "fedproof.table.default"
    by_module = {}
    for n in model.graph.node:
        meta = {p.key: p.value for p in n.metadata_props}
        by_module.setdefault((meta.get("module", ""), meta.get("pass")), []).append(n.op_type)
    assert "Gemm" in by_module["1.1.linear", "forward"]
    assert "MatMul" in by_module["1.1.linear", "gradient"]
    assert "Where" in by_module["1.0", "gradient"]
    assert "MatMul" in by_module["0", "gradient"]
    assert "Sub" in by_module["loss", "forward"]
    assert by_module["optimiser", "forward"] == ["Mul"] * 4


def test_unused_parameters_have_a_zero_step():
    module = Module(lambda s, x: s.used(x), used=nn.Linear(3, 2), unused=nn.Linear(2, 2))
    model = export_step(step_of(module, (3,)))
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_value == 14
