"""Convolutions and matrix products of every shape: float, integers and the circuit agree exactly."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lowering_cases import float_graph, lower, node
from op_cases import holds

from fedproof.errors import CallerError
from fedproof.lowering import UnsupportedOp, evaluate

pytestmark = pytest.mark.reference

few = settings(max_examples=12, deadline=None)


def sixteenths(shape, seed, reach=24):
    return np.random.default_rng(seed).integers(-reach, reach, shape) / 16


@st.composite
def windows(draw):
    """Shapes and attributes of a convolution whose windows fit."""
    group = draw(st.sampled_from([1, 1, 2]))
    c, o = group * draw(st.integers(1, 2)), group * draw(st.integers(1, 2))
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    attrs = {
        "strides": draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        "dilations": draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        "pads": draw(st.tuples(*[st.integers(0, 2)] * 4)),
        "group": group,
    }
    return draw(st.integers(1, 2)), c, o, size, kernel, attrs


def reaches(kernel, attrs):
    return [d * (k - 1) + 1 for k, d in zip(kernel, attrs["dilations"], strict=True)]


@few
@given(windows(), st.booleans(), st.integers(0, 2**32))
def test_conv(window, bias, seed):
    n, c, o, size, kernel, attrs = window
    pads = attrs["pads"]
    for i, reach in enumerate(reaches(kernel, attrs)):
        assume(size[i] + pads[i] + pads[2 + i] >= reach)
    shapes = {"x": (n, c, *size), "w": (o, c // attrs["group"], *kernel)} | ({"b": (o,)} if bias else {})
    graph = float_graph([node("Conv", list(shapes), **attrs)], shapes)
    holds(graph, {name: sixteenths(s, seed + i) for i, (name, s) in enumerate(shapes.items())})


@few
@given(windows(), st.booleans(), st.integers(0, 2**32), st.data())
def test_conv_transpose(window, bias, seed, data):
    n, c, o, size, kernel, attrs = window
    outward = tuple(data.draw(st.integers(0, s - 1)) for s in attrs["strides"])
    attrs |= {"output_padding": outward}
    pads = attrs["pads"]
    for i, reach in enumerate(reaches(kernel, attrs)):
        assume((size[i] - 1) * attrs["strides"][i] + reach + outward[i] > pads[i] + pads[2 + i])
    shapes = {"x": (n, c, *size), "w": (c, o // attrs["group"], *kernel)} | ({"b": (o,)} if bias else {})
    graph = float_graph([node("ConvTranspose", list(shapes), **attrs)], shapes)
    holds(graph, {name: sixteenths(s, seed + i) for i, (name, s) in enumerate(shapes.items())})


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_one_dimension(op):
    graph = float_graph([node(op, ["x", "w"], strides=[2], pads=[1, 0])], {"x": (2, 2, 6), "w": (2, 2, 3)})
    holds(graph, {"x": sixteenths((2, 2, 6), 0), "w": sixteenths((2, 2, 3), 1)})


def test_constant_kernel_and_bias():
    constants = {"w": np.ones((2, 1, 2, 2), np.float32) / 4, "b": np.array([0.5, -1], np.float32)}
    graph = float_graph(
        [node("Conv", ["x", "w", "b"], group=2, strides=[2, 2])], {"x": (1, 2, 4, 4)}, constants
    )
    holds(graph, {"x": sixteenths((1, 2, 4, 4), 0)})


MATRICES = [
    ((3, 4), (4, 2)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (1, 3, 4, 2)),
    ((2, 3, 4), (1, 4, 2)),
    ((1, 3, 4), (2, 2, 4, 2)),
    ((2, 3, 4), (1, 1, 4, 2)),
    ((3, 4), (4,)),
    ((4,), (4, 2)),
    ((2, 3, 4), (4,)),
    ((1, 4), (4, 1)),
]


@pytest.mark.parametrize(("a", "b"), MATRICES)
def test_matmul(a, b):
    holds(
        float_graph([node("MatMul", ["a", "b"])], {"a": a, "b": b}),
        {"a": sixteenths(a, 0), "b": sixteenths(b, 1)},
    )


@pytest.mark.parametrize(("a", "b"), [((2, 3, 4), (4, 4)), ((4, 4), (4, 2))])
@pytest.mark.parametrize("which", ["a", "b"])
def test_matmul_with_a_constant_triangle(a, b, which):
    shapes = {"a": a, "b": b}
    constant = {which: np.triu(np.ones(shapes.pop(which), np.float32))}
    graph = float_graph([node("MatMul", ["a", "b"])], shapes, constant)
    holds(graph, {n: sixteenths(s, 0) for n, s in shapes.items()})


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, -2.0), (-1.0, 0.75)])
@pytest.mark.parametrize("bias", ["tensor", "constant"])
def test_gemm(alpha, beta, bias):
    shapes = {"a": (4, 3), "b": (2, 4), "c": (2,)}
    constant = {} if bias == "tensor" else {"c": np.array([0.5, -1.25], np.float32)}
    names = {n: s for n, s in shapes.items() if n not in constant}
    attrs = {"alpha": alpha, "beta": beta, "transA": 1, "transB": 1}
    graph = float_graph([node("Gemm", list(shapes), **attrs)], names, constant)
    holds(graph, {n: sixteenths(s, i) for i, (n, s) in enumerate(names.items())})


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (3, 1, 1), (1,), (2, 3, 4, 4)])
def test_a_constant_a_channel(shape):
    """Factors of their own, as of a batch norm with frozen statistics: exact up to the bits of a constant."""
    c = np.random.default_rng(0).integers(-2000, 2000, shape).astype(np.float32) / 512
    graph = float_graph([node("Mul", ["x", "c"])], {"x": (2, 3, 4, 4)}, {"c": c})
    holds(graph, {"x": sixteenths((2, 3, 4, 4), 0)})


def test_a_constant_is_rounded_to_its_significant_bits():
    c = np.array([1 / 3, -0.01, 0.3], np.float32)
    graph = float_graph([node("Mul", ["x", "c"])], {"x": (2, 3)}, {"c": c})
    holds(graph, {"x": sixteenths((2, 3), 0)}, error=1.5 * 2.0**-13)


def test_division_of_tensors():
    """A quotient has the fractional bits of its class: here 6, rounded once."""
    graph = float_graph([node("Div", ["x", "y"])], {"x": (3, 4), "y": (3, 1)})
    holds(graph, {"x": sixteenths((3, 4), 0), "y": np.array([[0.5], [3], [1.0625]])}, error=2.0**-7)


def test_factors_whose_worst_case_is_too_wide_are_range_checked():
    """Squares of 20 bits could have 40, their product 80; but in the declared range of 20 they fit."""
    graph = float_graph([node("Mul", ["x", "x"], "s"), node("Mul", ["s", "s"])], {"x": (3,)})
    program = holds(graph, {"x": np.array([3.0, -2, 20])}, scale=0, bits=20)
    assert max(n.bound for n in program.nodes) < 2**62
    with pytest.raises(CallerError, match="left range"):
        evaluate(program, {"x": np.array([3, -2, 2**18])})


def test_reciprocals():
    graph = float_graph([node("Table_reciprocal", ["x"], domain="fedproof")], {"x": (4,)})
    x = np.array([0.25, 1, 3, 7.5])
    holds(graph, {"x": x}, expected=[1 / x], error=2.0**-7)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Conv", ["x", "w"], auto_pad="SAME_UPPER")], "auto_pad"),
        ([node("Conv", ["x", "w"], kernel_shape=[1, 1])], "kernel_shape"),
        ([node("Conv", ["x", "w"], dilations=[3, 3])], "does not fit"),
        ([node("ConvTranspose", ["x", "w"], output_shape=[4, 4])], "output_shape"),
        ([node("Conv", ["x", "v"])], "one and two dimensions"),
    ],
)
def test_convolutions_that_are_refused(nodes, message):
    graph = float_graph(nodes, {"x": (1, 2, 3, 3), "w": (2, 2, 2, 2), "v": (2, 2, 2)})
    with pytest.raises(UnsupportedOp, match=message):
        lower(graph)


def placed(made: onnx.NodeProto, **where: str) -> onnx.NodeProto:
    """The node with what the exporter knows of its place."""
    for key, value in where.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    return made


def test_a_refusal_names_the_place_in_the_users_code():
    made = node("Conv", ["x", "w"], auto_pad="SAME_UPPER")
    placed(made, module="features.3", source="models/cnn.py:31", **{"pass": "gradient"})
    graph = float_graph([made], {"x": (1, 2, 3, 3), "w": (2, 2, 2, 2)})
    with pytest.raises(
        UnsupportedOp, match=r"^the gradient of features.3 \(models/cnn.py:31\): cannot lower"
    ):
        lower(graph)


def test_a_value_out_of_range_names_the_place_in_the_users_code():
    squares = placed(node("Mul", ["x", "x"], "s"), module="head", source="models/cnn.py:9")
    product = placed(node("Mul", ["s", "s"]), module="head", source="models/cnn.py:10")
    program, *_ = lower(float_graph([squares, product], {"x": (3,)}), scale=0, bits=20)
    with pytest.raises(CallerError, match=r"^head \(models/cnn.py:10\): out left range.* element \(2,\) is"):
        evaluate(program, {"x": np.array([3, -2, 2**18])})


def test_an_argument_beyond_a_table_names_the_place_in_the_users_code():
    made = placed(node("Table_log", ["x"], domain="fedproof"), source="models/own.py:7")
    program, *_ = lower(float_graph([made], {"x": (2,)}))
    with pytest.raises(
        CallerError, match=r"^the model \(models/own.py:7\): log at .*element 1 of its argument"
    ):
        evaluate(program, {"x": np.array([16, -1])})
