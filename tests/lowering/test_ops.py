"""Every op lowering: numpy, reference graph and float agree; what it cannot do, it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lowering_cases import NUMBERS, compare, float_graph, lower, node
from onnx import helper

from fedproof.errors import CallerError
from fedproof.lowering import UnsupportedOp
from fedproof.lowering.context import REGISTRY

pytestmark = pytest.mark.reference

few = settings(max_examples=15, deadline=None)
#: Multiples of 1/16: what four fractional bits hold exactly.
SIXTEENTHS = st.integers(-120, 120).map(lambda i: i / 16)
shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def tensor(shape):
    return arrays.arrays(np.float64, shape, elements=SIXTEENTHS)


@few
@given(st.data(), st.sampled_from(["Add", "Sub", "Mul"]))
def test_two_tensors(data, op):
    a, b = data.draw(arrays.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    if not a or not b:
        a, b = (2, 3), (3,)
    graph = float_graph([node(op, ["a", "b"])], {"a": a, "b": b})
    compare(graph, {"a": data.draw(tensor(a)), "b": data.draw(tensor(b))})


@few
@given(st.data(), st.sampled_from(["Add", "Sub"]), st.booleans())
def test_a_constant_added(data, op, constant_first):
    shape = data.draw(shapes)
    c = data.draw(tensor(shape)).astype(np.float32)
    graph = float_graph([node(op, ["c", "x"] if constant_first else ["x", "c"])], {"x": shape}, {"c": c})
    compare(graph, {"x": data.draw(tensor(shape))})


@few
@given(st.data(), st.sampled_from([1.0, -1.0, 0.5, 2.0, -0.25, 8.0, 3.0, -0.75, 5 / 8]))
def test_a_constant_factor_that_is_exact(data, c):
    shape = data.draw(shapes)
    graph = float_graph([node("Mul", ["x", "c"])], {"x": shape}, {"c": np.float32(c)})
    compare(graph, {"x": data.draw(tensor(shape))})


@pytest.mark.parametrize("c", [1 / 3, 0.1, -1e-3, 1e-6, 12345.6])
def test_a_constant_factor_is_rounded_to_its_significant_bits(c):
    x = np.array([7.5, -7.5, 0.0625])
    graph = float_graph([node("Mul", ["x", "c"])], {"x": (3,)}, {"c": np.float32(c)})
    compare(graph, {"x": x}, error=8 * abs(c) * 2.0 ** -(NUMBERS.constants - 1))


def test_a_power_of_two_costs_nothing():
    graph = float_graph([node("Mul", ["x", "c"])], {"x": (3,)}, {"c": np.float32(0.125)})
    program = compare(graph, {"x": np.ones(3)})
    assert [n.op for n in program.nodes] == ["input", "restate"]


def test_a_tensor_of_constants_as_factor():
    graph = float_graph([node("Mul", ["x", "c"])], {"x": (2,)}, {"c": np.array([0.5, -1.5], np.float32)})
    compare(graph, {"x": np.array([1.0, 3.0])})


@few
@given(st.data(), st.sampled_from([2.0, 0.5, -4.0]))
def test_division_by_a_constant(data, c):
    shape = data.draw(shapes)
    compare(
        float_graph([node("Div", ["x", "c"])], {"x": shape}, {"c": np.float32(c)}),
        {"x": data.draw(tensor(shape))},
    )


@few
@given(st.data())
def test_negation(data):
    shape = data.draw(shapes)
    compare(float_graph([node("Neg", ["x"])], {"x": shape}), {"x": data.draw(tensor(shape))})


@few
@given(st.data(), st.sampled_from([1.0, 2.0]))
def test_powers(data, c):
    shape = data.draw(shapes)
    graph = float_graph([node("Pow", ["x", "c"])], {"x": shape}, {"c": np.float32(c)})
    compare(graph, {"x": data.draw(tensor(shape))})


@few
@given(st.data(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_matrix_product(data, m, k, n):
    graph = float_graph([node("MatMul", ["a", "b"])], {"a": (m, k), "b": (k, n)})
    compare(graph, {"a": data.draw(tensor((m, k))), "b": data.draw(tensor((k, n)))})


@few
@given(st.data(), st.booleans(), st.booleans(), st.sampled_from([None, (3,), (1, 3), (2, 3)]))
def test_gemm(data, trans_a, trans_b, bias):
    a, b = ((4, 2) if trans_a else (2, 4)), ((3, 4) if trans_b else (4, 3))
    names = {"a": a, "b": b} | ({"c": bias} if bias else {})
    graph = float_graph([node("Gemm", list(names), transA=int(trans_a), transB=int(trans_b))], names)
    compare(graph, {n: data.draw(tensor(s)) for n, s in names.items()})


@few
@given(st.data())
def test_transpose(data):
    shape = data.draw(shapes)
    perm = data.draw(st.one_of(st.none(), st.permutations(range(len(shape)))))
    attrs = {} if perm is None else {"perm": perm}
    compare(float_graph([node("Transpose", ["x"], **attrs)], {"x": shape}), {"x": data.draw(tensor(shape))})


@pytest.mark.parametrize("to", [[6], [3, 2], [-1, 2], [0, -1], [1, 6, 1], [2, -1, 1]])
def test_reshape(to):
    graph = float_graph([node("Reshape", ["x", "to"])], {"x": (2, 3)}, {"to": np.array(to)})
    compare(graph, {"x": np.arange(6).reshape(2, 3)})


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flatten(axis):
    compare(float_graph([node("Flatten", ["x"], axis=axis)], {"x": (2, 3, 2)}), {"x": np.ones((2, 3, 2))})


@pytest.mark.parametrize("axes", [None, [1], [1, -1]])
def test_squeeze(axes):
    constants = {} if axes is None else {"axes": np.array(axes)}
    graph = float_graph([node("Squeeze", ["x", *constants])], {"x": (3, 1, 2, 1)}, constants)
    compare(graph, {"x": np.arange(6).reshape(3, 1, 2, 1)})


@pytest.mark.parametrize("axes", [[0], [1], [-1], [0, 2]])
def test_unsqueeze(axes):
    graph = float_graph([node("Unsqueeze", ["x", "axes"])], {"x": (3, 2)}, {"axes": np.array(axes)})
    compare(graph, {"x": np.arange(6).reshape(3, 2)})


@pytest.mark.parametrize(
    ("starts", "ends", "axes"),
    [([1], [3], [0]), ([-2], [2**31], [-1]), ([0, 1], [2, -1], [0, 1]), ([0], [1], None)],
)
def test_slice(starts, ends, axes):
    constants = {"starts": np.array(starts), "ends": np.array(ends)}
    constants |= {} if axes is None else {"axes": np.array(axes)}
    graph = float_graph([node("Slice", ["x", *constants])], {"x": (3, 4)}, constants)
    compare(graph, {"x": np.arange(12).reshape(3, 4)})


@pytest.mark.parametrize("lengths", [None, [1, 4], [3, 2]])
def test_split(lengths):
    constants = {} if lengths is None else {"lengths": np.array(lengths)}
    x = np.arange(12 if lengths is None else 10).reshape(2, -1)
    graph = float_graph(
        [node("Split", ["x", *constants], ["out", "rest"], axis=1)],
        {"x": x.shape},
        constants,
        ("out", "rest"),
    )
    compare(graph, {"x": x})


@few
@given(st.data(), st.integers(0, 2))
def test_concat(data, axis):
    a, b = [2, 3, 2], [2, 3, 2]
    b[axis] = 1
    graph = float_graph([node("Concat", ["a", "b"], axis=axis - 3)], {"a": a, "b": b})
    compare(graph, {"a": data.draw(tensor(tuple(a))), "b": data.draw(tensor(tuple(b)))})


def test_concat_of_different_scales_stays_exact():
    nodes = [
        node("Mul", ["a", "b"], "ab"),
        node("Concat", ["ab", "a"], "both", axis=0),
        node("Neg", ["both"]),
    ]
    compare(
        float_graph(nodes, {"a": (2,), "b": (2,)}), {"a": np.array([1.5, -2]), "b": np.array([0.0625, 3])}
    )


@few
@given(st.data(), st.sampled_from([[0], [1], [-1], [0, 2], None]), st.integers(0, 1))
def test_sum(data, axes, keepdims):
    constants = {} if axes is None else {"axes": np.array(axes)}
    graph = float_graph(
        [node("ReduceSum", ["x", *constants], keepdims=keepdims)], {"x": (2, 3, 2)}, constants
    )
    compare(graph, {"x": data.draw(tensor((2, 3, 2)))})


@few
@given(st.data())
def test_relu(data):
    shape = data.draw(shapes)
    compare(float_graph([node("Relu", ["x"])], {"x": shape}), {"x": data.draw(tensor(shape))})


@pytest.mark.parametrize("op", ["Greater", "LessOrEqual"])
@pytest.mark.parametrize("zero_first", [True, False])
@few
@given(data=st.data())
def test_comparison_and_where(op, zero_first, data):
    branches = ["zero", "y"] if zero_first else ["y", "zero"]
    nodes = [node(op, ["x", "zero"], "mask"), node("Where", ["mask", *branches])]
    graph = float_graph(nodes, {"x": (2, 3), "y": (2, 3)}, {"zero": np.float32(0)})
    compare(graph, {"x": data.draw(tensor((2, 3))), "y": data.draw(tensor((2, 3)))})


def test_the_mask_of_a_relu_is_used_again():
    nodes = [
        node("Relu", ["x"], "a"),
        node("LessOrEqual", ["a", "zero"], "mask"),
        node("Where", ["mask", "zero", "y"]),
    ]
    graph = float_graph(nodes, {"x": (4,), "y": (4,)}, {"zero": np.float32(0)})
    program = compare(graph, {"x": np.array([-1, 0, 1, 2]), "y": np.ones(4)})
    assert [h.attr("kind") for h in program.hints].count("positive") == 1


@few
@given(st.data())
def test_a_wide_tensor_is_rescaled_before_the_next_product(data):
    """Scales 4 + 4 = 8 exceed the 6 of an activation; half a unit of it is lost, times the other factor."""
    graph = float_graph([node("Mul", ["a", "b"], "ab"), node("Mul", ["ab", "b"])], {"a": (3,), "b": (3,)})
    reals = {"a": data.draw(tensor((3,))), "b": data.draw(tensor((3,)))}
    program = compare(graph, reals, error=2.0**-7 * 7.5)
    assert [h.attr("kind") for h in program.hints].count("div_round") == 1


def test_a_gradient_keeps_the_bits_of_a_gradient():
    nodes = [node("Mul", ["a", "b"], "ab"), node("Mul", ["ab", "b"])]
    program, _, _ = lower(float_graph(nodes, {"a": (3,), "b": (3,)}), targets=["b"])
    assert not program.hints  # 8 bits, as many as a gradient may have


def test_constants_of_every_kind():
    for attrs in ({"value_float": 2.0}, {"value_floats": [2.0]}, {"value_int": 2}):
        nodes = [node("Constant", [], "c", **attrs), node("Mul", ["x", "c"])]
        program, _, outputs = lower(float_graph(nodes, {"x": (3,)}))
        assert outputs["out"].scale == 3
        assert program.nodes[-1].op == "restate"


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["ScatterND", "LSTM", "Sigmoid", "TopK"])
def test_an_unsupported_op_names_the_node_and_what_is_supported(op):
    with pytest.raises(UnsupportedOp) as refused:
        lower(float_graph([node(op, ["x"])], {"x": (3,)}))
    message = str(refused.value)
    assert f"'the_{op.lower()}' ({op})" in message
    assert all(name in message for name in REGISTRY)
    assert refused.value.op_type == op


REFUSED = [
    ("Mul", {"c": 0.0}, "constant 0"),
    ("Mul", {"c": np.inf}, "constant inf"),
    ("Mul", {"c": np.nan}, "nan"),
    ("Mul", {"c": np.full((4,), 2.0)}, "do not broadcast"),
    ("Div", {"c": 0.0}, "non-zero"),
    ("Div", {"c": [1.0, 2.0, 3.0]}, "one non-zero constant"),
    ("Pow", {"c": 3.0}, "exponent 3.0"),
    ("Greater", {"c": np.zeros((2, 3))}, r"broadcasts a tensor of shape \(3,\)"),
]


@pytest.mark.parametrize(("op", "constants", "message"), REFUSED)
def test_constants_that_are_refused(op, constants, message):
    constants = {n: np.asarray(v, np.float32) for n, v in constants.items()}
    with pytest.raises(CallerError, match=message):
        lower(float_graph([node(op, ["x", *constants])], {"x": (3,)}, constants))


def test_other_refusals():
    x = {"x": (2, 3)}
    one, zero = {"one": np.float32(1)}, {"zero": np.float32(0)}
    cases = [
        (float_graph([node("Slice", ["x", "a", "a"])], x, {"a": [0]}), "no element"),
        (float_graph([node("Gemm", ["x", "y"])], x | {"y": (1, 3, 2)}), "no matrices"),
        (float_graph([node("Add", ["one", "one"])], x, one), "at least one operand"),
        (float_graph([node("MatMul", ["one", "one"])], x, one), "at least one operand"),
        (float_graph([node("Where", ["x", "x", "zero"])], x, zero), "come from a comparison"),
        (
            float_graph(
                [node("Greater", ["x", "zero"], "m"), node("Where", ["m", "one", "one"])], x, zero | one
            ),
            "the same constants",
        ),
        (float_graph([node("MatMul", ["x", "x"])], x), r"\(2, 3\) and \(2, 3\)"),
        (float_graph([node("Identity", ["one"])], x, one), "does not depend on the inputs"),
        (float_graph([node("Add", ["x", "y"])], x | {"y": (4,)}), "do not broadcast"),
    ]
    for graph, message in cases:
        with pytest.raises(CallerError, match=message):
            lower(graph)


def test_values_beyond_int64_are_refused_when_lowered():
    with pytest.raises(CallerError, match=r"beyond the limit of 2\^62"):
        lower(float_graph([node("Mul", ["x", "x"])], {"x": (2,)}), bits=40)


def test_a_sum_beyond_int64_is_made_of_rescaled_tensors():
    """Products of 22 bits, doubled 41 times: 62 bits are passed at the last, where 2 bits are dropped."""
    nodes = [node("Mul", ["x", "x"], "y0")] + [
        node("Add", [f"y{i}", f"y{i}"], f"y{i + 1}") for i in range(41)
    ]
    graph = float_graph([*nodes, node("Identity", ["y41"])], {"x": (2,)})
    program, _, outputs = lower(graph)
    assert outputs["out"].scale == 6
    assert [h.attr("kind") for h in program.hints].count("div_round") == 1


def test_a_long_chain_of_diamonds_is_lowered_at_once():
    nodes = [node("Add", ["x", "x"], "y0")] + [
        n
        for i in range(40)
        for n in (
            node("Neg", [f"y{i}"], f"z{i}"),
            node("Relu", [f"y{i}"], f"r{i}"),
            helper.make_node("Mul", [f"r{i}", "half"], [f"h{i}"]),
            helper.make_node("Mul", [f"z{i}", "half"], [f"g{i}"]),
            helper.make_node("Add", [f"h{i}", f"g{i}"], [f"s{i}"]),
            node("Relu", [f"s{i}"], f"y{i + 1}"),
        )
    ]
    graph = float_graph([*nodes, node("Identity", ["y40"])], {"x": (1,)}, {"half": np.float32(0.5)})
    program, _, _ = lower(graph)
    assert len(program.hints) > 40
