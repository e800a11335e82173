"""The float graph as ezkl can take it: the same function, in standard operators, without what breaks ezkl."""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx
from onnx import NodeProto, helper, inliner, numpy_helper, shape_inference

_CONVOLUTIONS = ("Conv", "ConvTranspose")
#: Ways around panics of ezkl 23.0.5, named in the results where they were taken.
BIAS, SWAP = "bias of a convolution added apart", "reshape of a convolution as transposition"


def plain(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Return ``model`` in standard operators, and what was rewritten so that ezkl does not panic.

    Local functions are inlined. A convolution whose bias is an input of the circuit and not a constant loses
    it: the sum follows, over flattened places, because ezkl's parser folds a sum of another shape back into
    the bias. A reshape of a convolution that only swaps the first two axes, one of which is 1, becomes a
    transposition: the parser would fold the reshape into the convolution and get its axes wrong. Names and
    notes of nodes that say where in the user's code they come from are dropped.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inlined = shape_inference.infer_shapes(inliner.inline_local_functions(copy), data_prop=True)
    rewrite = _Rewrite(inlined.graph)
    nodes = [new for node in inlined.graph.node for new in rewrite(node)]
    del inlined.graph.node[:]
    inlined.graph.node.extend(nodes)
    del inlined.graph.value_info[:]
    for node in inlined.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    onnx.checker.check_model(inlined)
    return inlined, sorted(rewrite.taken)


class _Rewrite:
    """Maps one node to the nodes that stand for it."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.taken: set[str] = set()
        self.shapes = {
            v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in (*graph.value_info, *graph.input, *graph.output)
        }
        self.shapes |= {i.name: list(i.dims) for i in graph.initializer}
        self.constants = {i.name for i in graph.initializer}
        self.values = {i.name: i for i in graph.initializer}
        self.makers = {o: n for n in graph.node for o in n.output}

    def __call__(self, node: NodeProto) -> Iterator[NodeProto]:
        if node.op_type in _CONVOLUTIONS and len(node.input) == 3 and node.input[2] not in self.constants:
            yield from self._without_bias(node)
        elif node.op_type == "Reshape" and self._swaps(node):
            self.taken.add(SWAP)
            rank = len(self.shapes[node.input[0]])
            axes = [1, 0, *range(2, rank)]
            yield helper.make_node("Transpose", node.input[:1], node.output, name=node.name, perm=axes)
        else:
            yield node

    def _without_bias(self, node: NodeProto) -> Iterator[NodeProto]:
        self.taken.add(BIAS)
        out, bias = node.output[0], node.input[2]
        batch, channels, *places = self.shapes[out]
        bare = NodeProto()
        bare.CopyFrom(node)
        del bare.input[2]
        bare.output[0] = f"{out}_bare"
        yield bare
        yield self._reshape(f"{out}_bare", f"{out}_flat", [batch, channels, math.prod(places)])
        yield self._reshape(bias, f"{out}_bias", [1, channels, 1])
        yield helper.make_node("Add", [f"{out}_flat", f"{out}_bias"], [f"{out}_sum"])
        yield self._reshape(f"{out}_sum", out, [batch, channels, *places])

    def _reshape(self, source: str, result: str, shape: list[int]) -> NodeProto:
        target = f"{result}_shape"
        self.graph.initializer.append(helper.make_tensor(target, onnx.TensorProto.INT64, [len(shape)], shape))
        return helper.make_node("Reshape", [source, target], [result])

    def _swaps(self, node: NodeProto) -> bool:
        source = self.makers.get(node.input[0])
        if source is None or source.op_type not in _CONVOLUTIONS or node.input[1] not in self.values:
            return False
        before = self.shapes[node.input[0]]
        after = numpy_helper.to_array(self.values[node.input[1]]).tolist()
        swapped = [before[1], before[0], *before[2:]]
        return 1 in before[:2] and after == swapped and after != before
