"""A user's ONNX file in place of a PyTorch module: checked, converted, its shapes made static.

Two forms are taken. One names its inputs as a circuit does (``model``, ``x``, ``y``, ...). The other is a
forward graph as exporters write it, with one input and the weights as initializers: those become one flat
``model`` input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, external_data_helper, helper, numpy_helper, version_converter

from fedproof.errors import CallerError

#: The operator set that the lowering reads.
OPSET = 18
#: Of which each promoted weight keeps the name, as a tensor cut out of the model.
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
_FORMATS = "a training step has the inputs model, x, y and the output step; an answer has x, or model and x"

Shape = tuple[int, ...]


def training_graph(file: Path, x: Shape, y: Shape) -> onnx.ModelProto:
    """Read a training step, of the form that ``export_step`` makes.

    Its inputs are ``model`` (D), ``x``, ``y``, perhaps ``mask`` and ``state`` (D). ``x`` and ``y`` are the
    shapes of a batch. Raises :class:`CallerError` for a file that is none.
    """
    model = _read(file)
    inputs = _inputs(model)
    allowed = {"model", "x", "y", "mask", "state"}
    if not {"model", "x", "y"} <= inputs.keys() <= allowed:
        raise CallerError(f"{file.name}: the inputs are {sorted(inputs)}", hint=_FORMATS)
    results = {"step"} | ({"new_state"} if "state" in inputs else set())
    if {o.name for o in model.graph.output} != results:
        raise CallerError(
            f"{file.name}: the outputs are {[o.name for o in model.graph.output]}, not {sorted(results)}"
        )
    model = _with_shapes(file, model, {"x": x, "y": y})
    shapes = _shapes(model)
    for name in ("step", *sorted(results - {"step"}), *(["state"] if "state" in inputs else [])):
        if shapes[name] != shapes["model"]:
            raise CallerError(f"{file.name}: {name} has shape {shapes[name]}, the model {shapes['model']}")
    return model


def forward_graph(file: Path, x: Shape) -> onnx.ModelProto:
    """Read an answer: inputs ``model`` (D) and ``x``, one output ``y``. ``x`` is the shape of a batch.

    A graph with one input, of any name, has its weights as initializers: the float ones with axes become the
    ``model``, flat, in their order in the file (:func:`initial_weights`). Raises :class:`CallerError` for a
    file that is none.
    """
    model = _read(file)
    inputs = _inputs(model)
    if len(model.graph.output) != 1:
        raise CallerError(f"{file.name} has {len(model.graph.output)} outputs, an answer is one")
    if len(inputs) == 1:
        _rename(model, next(iter(inputs)), "x")
        _promote(file, model)
    elif set(inputs) != {"model", "x"}:
        raise CallerError(f"{file.name}: the inputs are {sorted(inputs)}", hint=_FORMATS)
    return _with_shapes(file, model, {"x": x})


def initial_weights(file: Path) -> NDArray[np.float64]:
    """Return the weights that a forward graph holds as initializers, as the flat ``model`` (D,)."""
    return np.concatenate([numpy_helper.to_array(w).ravel() for w in _weights(file, _read(file))]).astype(
        np.float64
    )


def _read(file: Path) -> onnx.ModelProto:
    try:
        data = file.read_bytes()
    except OSError as e:
        raise CallerError(f"cannot read {file}: {e.strerror or e}") from e
    try:
        model = onnx.load_model_from_string(data)
    # protobuf's DecodeError has no public home.
    except Exception as e:
        raise CallerError(f"{file.name} is not an ONNX file: {e}") from e
    if any(external_data_helper.uses_external_data(t) for t in model.graph.initializer):
        raise CallerError(
            f"{file.name} keeps tensors in other files", hint="save it with save_as_external_data=False"
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as e:
        raise CallerError(f"{file.name} is not a valid ONNX model: {_first_line(e)}") from e
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if version not in (None, OPSET):
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as e:
            raise CallerError(
                f"{file.name} cannot be converted from opset {version} to {OPSET}: {_first_line(e)}",
                hint=f"export it with opset_version={OPSET}",
            ) from e
    weights = {t.name for t in model.graph.initializer}
    # Before IR version 4, initializers were inputs as well.
    declared = [i for i in model.graph.input if i.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(declared)
    return model


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _inputs(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    return {i.name: i for i in model.graph.input}


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Give a tensor another name, and whatever has that name already a third one."""
    swap = {old: new}
    if old != new:
        swap[new] = f"{new}_before"

    def renamed(names: Any) -> None:  # noqa: ANN401 - a repeated field of strings
        names[:] = [swap.get(n, n) for n in names]

    for node in model.graph.node:
        renamed(node.input)
        renamed(node.output)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer):
        value.name = swap.get(value.name, value.name)


def _weights(file: Path, model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Initializers that are weights: of real numbers, with axes. One number alone is a constant."""
    read = {name for node in model.graph.node for name in node.input}
    found = [t for t in model.graph.initializer if t.data_type in _FLOATS and t.dims and t.name in read]
    if not found:
        raise CallerError(f"{file.name} has no weights: no initializer of real numbers with axes")
    return found


def _promote(file: Path, model: onnx.ModelProto) -> None:
    """Make the weights one flat input ``model``, cut into its parts by Slice and Reshape."""
    weights = _weights(file, model)
    _rename(model, "model", "model_before")
    kept = [t for t in model.graph.initializer if t not in weights]
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    start = 0

    def constant(values: list[int]) -> str:
        name = f"fedproof_{len(constants)}"
        constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name

    for number, weight in enumerate(weights):
        size = int(np.prod(weight.dims))
        bounds = [constant([start]), constant([start + size]), constant([0])]
        part = f"fedproof_part_{number}"
        nodes.append(helper.make_node("Slice", ["model", *bounds], [part], name=part))
        shape = constant(list(weight.dims))
        nodes.append(helper.make_node("Reshape", [part, shape], [weight.name], name=f"{part}_shaped"))
        start += size
    later = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *later])
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *constants])
    model.graph.input.append(helper.make_tensor_value_info("model", TensorProto.FLOAT, [start]))


def _with_shapes(file: Path, model: onnx.ModelProto, batch: Mapping[str, Shape]) -> onnx.ModelProto:
    """Fix the shapes of the inputs, infer all others, and demand that they are numbers."""
    inputs = _inputs(model)
    for name, shape in batch.items():
        dims = inputs[name].type.tensor_type.shape.dim
        declared = tuple(d.dim_value if d.HasField("dim_value") else None for d in dims)
        fits = len(declared) == len(shape) and all(
            d in (None, s) for d, s in zip(declared, shape, strict=True)
        )
        if not fits:
            raise CallerError(f"{file.name}: {name} has shape {declared}, the circuit's is {shape}")
        inputs[name].type.tensor_type.shape.CopyFrom(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape).type.tensor_type.shape
        )
    # An exporter's shapes of other tensors may still speak of a batch of any size.
    del model.graph.value_info[:]
    outputs = list(model.graph.output)
    for output in outputs:
        output.type.tensor_type.ClearField("shape")
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as e:
        raise CallerError(f"{file.name}: its shapes do not fit together: {_first_line(e)}") from e
    for name, shape in _shapes(model).items():
        if any(d <= 0 for d in shape) or not (shape or name == "y"):
            raise CallerError(
                f"{file.name}: the shape of {name} is {shape or 'not known'}",
                hint="export it for a batch of a fixed size, without axes that depend on the data",
            )
    if len(_shapes(model)["model"]) != 1:
        raise CallerError(f"{file.name}: the model must be one flat vector, it is {_shapes(model)['model']}")
    return model


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes of inputs and outputs; an axis without a size is 0."""
    return {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in (*model.graph.input, *model.graph.output)
    }
