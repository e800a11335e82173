"""The ONNX bodies of the domain ``fedproof`` against their torch operators."""

import numpy as np
import onnx
import pytest
import torch
from export_cases import run
from onnx import TensorProto, helper

from fedproof.export import operators
from fedproof.export.functions import function

pytestmark = pytest.mark.reference
X = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32) * 3


def call(op_type, *inputs, outputs=1, **attributes):
    names = [f"i{k}" for k in range(len(inputs))]
    results = [f"o{k}" for k in range(outputs)]
    node = helper.make_node(op_type, names, results, domain="fedproof", **attributes)
    typed = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, np.shape(v))
        for n, v in zip(names, inputs, strict=True)
    ]
    graph = helper.make_graph(
        [node], "g", typed, [helper.make_tensor_value_info(r, TensorProto.FLOAT, None) for r in results]
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("fedproof", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=[function(op_type)], ir_version=10)
    found = run(model, dict(zip(names, inputs, strict=True)))
    return [found[r] for r in results]


@pytest.mark.parametrize("name", operators.TABLES)
def test_table(name):
    x = np.abs(X) + 0.1 if name in ("log", "sqrt", "reciprocal") else X
    wanted = operators.table(torch.from_numpy(x), name).numpy()
    np.testing.assert_allclose(call(f"Table_{name}", x)[0], wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", [n for n in operators.TABLES if f"{n}_grad" in operators.TABLES])
def test_the_gradient_table_is_the_gradient(name):
    x = torch.from_numpy(X).double().requires_grad_()
    (wanted,) = torch.autograd.grad(operators.TABLES[name](x).sum(), x)
    np.testing.assert_allclose(operators.table(x.detach(), f"{name}_grad"), wanted, atol=1e-9)


def test_softmax_with_a_mask_is_softmax_of_what_is_kept():
    keep = np.tril(np.ones((3, 5)), 1)
    wanted = torch.softmax(torch.from_numpy(X).masked_fill(torch.from_numpy(keep) == 0, float("-inf")), -1)
    np.testing.assert_allclose(call("SoftmaxMasked", X, keep)[0], wanted, atol=1e-7)
    np.testing.assert_allclose(call("Softmax", X)[0], torch.softmax(torch.from_numpy(X), -1), atol=1e-7)


def test_the_first_maximum_is_taken():
    x = np.array([[1, 2, 2, 0], [3, 3, 3, 3], [-1, -2, -1, -3]], np.float32)
    values, onehot = call("MaxLast", x, outputs=2)
    assert values.tolist() == [2, 3, -1]
    assert onehot.argmax(-1).tolist() == [1, 0, 0]
    assert onehot.sum() == 3
    for mine, wanted in zip((values, onehot), operators.max_last(torch.from_numpy(x)), strict=True):
        assert np.array_equal(mine, wanted.numpy())


def test_one_hot_and_reciprocal_root():
    assert call("OneHot", np.array([[1.0, 0], [3, 2]]), depth=4)[0].argmax(-1).tolist() == [[1, 0], [3, 2]]
    np.testing.assert_allclose(call("Rsqrt", np.abs(X) + 0.1)[0], 1 / np.sqrt(np.abs(X) + 0.1), rtol=1e-6)


def test_bodies_are_valid_functions():
    for name in operators.TABLES:
        onnx.checker.check_function(function(f"Table_{name}"))


def test_place_is_the_adjoint_of_pick():
    places = torch.tensor([2, -1, 0, 2])
    x = torch.rand(3, 5, dtype=torch.float64)
    g = torch.rand(3, 4, dtype=torch.float64)
    left = (operators.pick(x, places) * g).sum()
    assert torch.isclose(left, (x * operators.place(g, places, 5)).sum())
