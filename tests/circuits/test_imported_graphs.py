"""ONNX files in place of modules: as exporters write them, for training and for answers; and broken ones."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from kinds_project import FORWARD, TRAINING, kinds_project
from onnx import TensorProto, helper, numpy_helper

from fedproof.circuits.imported import forward_graph, initial_weights
from fedproof.circuits.program import build_program, float_graph, training_step
from fedproof.circuits.spec import load_spec
from fedproof.circuits.store import CircuitStore
from fedproof.errors import CallerError
from fedproof.export import export_forward, export_step, flat_parameters
from fedproof.lowering import UnsupportedOp, evaluate
from fedproof.project import Project

pytestmark = pytest.mark.reference

GRAPH = TRAINING.replace(
    'model = "models/scores.py:Scores"\nloss = "models/scores.py:squared"\nlearning_rate_log2 = -1\n',
    'graph = "models/step.onnx"\n',
)
BY_FILE = FORWARD.replace("batch = 4\n", 'batch = 4\ngraph = "models/answer.onnx"\n')


@pytest.fixture
def kinds(tmp_path) -> Project:
    """The project, with the step and the answer as files: canonical, and as another exporter writes it."""
    project = kinds_project(tmp_path)
    step = training_step(load_spec("scores", project.circuits), tmp_path)
    onnx.save(export_step(step), str(tmp_path / "models" / "step.onnx"))
    onnx.save(export_forward(step.module, (2,), 4), str(tmp_path / "models" / "canonical.onnx"))
    onnx.save(exported(step.module), str(tmp_path / "models" / "answer.onnx"))
    (project.circuits / "by-file.toml").write_text(GRAPH)
    (project.circuits / "answer-by-file.toml").write_text(BY_FILE)
    return project


def exported(module: torch.nn.Module, opset: int = 13) -> onnx.ModelProto:
    """Gemm and an initializer a parameter, for a batch of any size: what torch.onnx.export writes."""
    weights = [
        numpy_helper.from_array(p.detach().numpy(), f"output.{n}")
        for n, p in zip(("weight", "bias"), module.parameters(), strict=True)
    ]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["input", "output.weight", "output.bias"], ["scores"], transB=1)],
        "exported",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def program_of(project: Project, name: str):
    spec = load_spec(name, project.circuits)
    return build_program(spec, project.circuits, float_graph(spec, project.root))


def outcome(program, slot: str) -> list[int]:
    rng = np.random.default_rng(1)
    given = {str(n.attr("name")): rng.integers(-15, 16, n.shape) for n in program.nodes if n.op == "input"}
    values = evaluate(program, given)
    nodes = next(s for s in program.slots if s.name == slot).nodes
    return [int(v) for i in nodes for v in values[i].ravel()]


def test_a_step_from_a_file_is_the_modules(kinds):
    assert outcome(program_of(kinds, "by-file"), "step") == outcome(program_of(kinds, "scores"), "step")


@pytest.mark.parametrize("file", ["answer.onnx", "canonical.onnx"])
def test_an_answer_from_a_file_is_the_modules(kinds, file):
    (kinds.circuits / "answer-by-file.toml").write_text(BY_FILE.replace("answer.onnx", file))
    ours, wanted = (outcome(program_of(kinds, n), "answer") for n in ("answer-by-file", "scores-inference"))
    assert ours == wanted


def test_the_weights_of_a_file_are_the_model(kinds):
    module = training_step(load_spec("scores", kinds.circuits), kinds.root).module
    weights = initial_weights(kinds.root / "models" / "answer.onnx")
    assert np.array_equal(weights, flat_parameters(module))


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 18, 20])
def test_other_opsets_are_converted(kinds, opset):
    module = training_step(load_spec("scores", kinds.circuits), kinds.root).module
    onnx.save(exported(module, opset), str(kinds.root / "models" / "answer.onnx"))
    made = forward_graph(kinds.root / "models" / "answer.onnx", (4, 2))
    assert [o.version for o in made.opset_import if o.domain == ""] == [18]
    assert [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in made.graph.output] == [[4, 3]]


def test_a_changed_file_is_another_recipe(kinds):
    store = CircuitStore(kinds)
    spec = load_spec("answer-by-file", kinds.circuits)
    srs = store.srs.ensure_development(9)
    before = store.recipe("answer-by-file", spec, srs)
    path = kinds.root / "models" / "answer.onnx"
    path.write_bytes(path.read_bytes() + b"")
    assert store.recipe("answer-by-file", spec, srs) == before
    model = onnx.load(str(path))
    model.doc_string = "another"
    onnx.save(model, str(path))
    assert store.recipe("answer-by-file", spec, srs) != before


def edited(change) -> bytes:
    torch.manual_seed(0)
    model = exported(torch.nn.Linear(2, 3))
    change(model)
    return model.SerializeToString()


def _unknown_op(model):
    model.graph.node[0].op_type = "Gimm"


def _no_weights(model):
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    del model.graph.initializer[:]
    nodes = [*constants, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _two_outputs(model):
    model.graph.node.append(helper.make_node("Relu", ["scores"], ["more"]))
    model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["batch", 3]))


def _external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    tensor.ClearField("raw_data")


def _another_sample(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.zeros((3, 3), dtype=np.float32), "output.weight")
    )


def _another_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8


def _two_inputs(model):
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))


def _shapes_that_do_not_fit(model):
    model.graph.node[0].attribute[0].i = 0


BROKEN = [
    (b"", "is not a valid ONNX model"),
    (b"no protobuf at all", "is not an ONNX file"),
    (edited(lambda _: None)[:80], "is not a"),
    (edited(_unknown_op), "is not a valid ONNX model.*Gimm"),
    (edited(_no_weights), "has no weights"),
    (edited(_two_outputs), "has 2 outputs"),
    (edited(_external), "keeps tensors in other files"),
    (edited(_another_sample), r"x has shape \(None, 3\), the circuit's is \(4, 2\)"),
    (edited(_another_size), r"x has shape \(8, 2\), the circuit's is \(4, 2\)"),
    (edited(_two_inputs), r"the inputs are \['input', 'z'\]"),
    (edited(_shapes_that_do_not_fit), "is not a valid ONNX model|do not fit"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_a_broken_file_is_named(tmp_path, data, message):
    (tmp_path / "answer.onnx").write_bytes(data)
    with pytest.raises(CallerError, match=f"answer.onnx.*({message})"):
        forward_graph(tmp_path / "answer.onnx", (4, 2))


def test_a_missing_file_a_step_that_is_none_and_other_sizes(kinds):
    with pytest.raises(CallerError, match=r"cannot read .*missing.onnx"):
        forward_graph(kinds.root / "missing.onnx", (4, 2))
    (kinds.circuits / "by-file.toml").write_text(GRAPH.replace("step.onnx", "canonical.onnx"))
    with pytest.raises(CallerError, match=r"the inputs are \['model', 'x'\].*training step has"):
        program_of(kinds, "by-file")
    (kinds.circuits / "by-file.toml").write_text(GRAPH.replace("batch = 4", "batch = 5"))
    with pytest.raises(CallerError, match=r"x has shape \(4, 2\), the circuit's is \(5, 2\)"):
        program_of(kinds, "by-file")
    wide = exported(torch.nn.Linear(2, 4))
    del wide.graph.output[0].type.tensor_type.shape.dim[1]
    wide.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 4
    onnx.save(wide, str(kinds.root / "models" / "answer.onnx"))
    with pytest.raises(CallerError, match="12 weights, the model of 'scores' has 9"):
        program_of(kinds, "answer-by-file")


def test_an_op_without_a_lowering_is_named(kinds):
    model = exported(torch.nn.Linear(2, 3))
    model.graph.node[0].output[0] = "before"
    model.graph.node.append(helper.make_node("Erf", ["before"], ["scores"]))
    onnx.save(model, str(kinds.root / "models" / "answer.onnx"))
    with pytest.raises(UnsupportedOp, match="Erf"):
        program_of(kinds, "answer-by-file")


def test_declarations_that_mix_a_graph_with_a_module(kinds):
    for text, message in (
        (GRAPH.replace("graph =", 'loss = "a.py:b"\ngraph ='), "loss is given, but the graph is the whole"),
        (TRAINING.replace("learning_rate_log2 = -1\n", ""), "learning_rate_log2 is missing"),
    ):
        (kinds.circuits / "by-file.toml").write_text(text)
        with pytest.raises(CallerError, match=message):
            load_spec("by-file", kinds.circuits)
    (kinds.circuits / "by-file.toml").write_text(GRAPH)
    (kinds.circuits / "answer-by-file.toml").write_text(FORWARD.replace('"scores"', '"by-file"'))
    with pytest.raises(CallerError, match=r"holds no answer.*graph = FILE.onnx"):
        load_spec("answer-by-file", kinds.circuits)
