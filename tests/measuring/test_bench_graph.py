"""The float graph given to ezkl computes what the module's does."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from benchmarks.circuits.graph import BIAS, SWAP, plain
from numpy.typing import NDArray

from fedproof.export import TrainingStep, export_step, load_attribute
from fedproof.project import Project

pytestmark = pytest.mark.reference

ROOT = Project.find().root


def exported(model: str, loss: str, pixels: int = 64) -> onnx.ModelProto:
    module = load_attribute(model, ROOT)()
    return export_step(TrainingStep(module, load_attribute(loss, ROOT), 0.25, 4, (pixels,), (10,)))


def run(model: onnx.ModelProto) -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    inputs = {
        i.name: generator.random([d.dim_value for d in i.type.tensor_type.shape.dim], dtype=np.float32) - 0.3
        for i in model.graph.input
    }
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, inputs)
    return result


@pytest.mark.parametrize(
    ("model", "rewrites"), [("models/mlp.py:MLP", []), ("models/cnn.py:CNN", [BIAS, SWAP])]
)
def test_the_plain_graph_is_the_same_function(model: str, rewrites: list[str]) -> None:
    graph = exported(model, "models/losses.py:cross_entropy")
    made, taken = plain(graph)
    assert taken == rewrites
    assert {n.domain for n in made.graph.node} == {""}
    assert not made.functions
    np.testing.assert_allclose(run(made), run(graph), rtol=0, atol=1e-6)


def test_where_a_node_comes_from_does_not_matter() -> None:
    graph = exported("models/linear.py:Linear", "models/losses.py:squared")
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    for node in other.graph.node:
        node.doc_string = "line 7"
        del node.metadata_props[:]
    assert plain(graph)[0] == plain(other)[0]
