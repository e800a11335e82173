"""The walk over a traced graph: constants are computed, everything else goes to an emitter."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, fx

from fedproof.errors import CallerError
from fedproof.export.emit.builder import Builder, Ref
from fedproof.export.provenance import origin_of

#: What a traced node is called with: nodes, numbers, nothing, or lists of them. fx has no narrower type.
Argument = Any
#: A value in the walk: a tensor of the ONNX graph, a constant, or (for several results) a list of them.
Value = Ref | Tensor
Emitter = Callable[["Walk", fx.Node], "Value | list[Value]"]
Given = TypeVar("Given", bound=Callable[..., Value | list[Value]])

EMITTERS: dict[Any, Emitter] = {}
_aten = torch.ops.aten
ALIASES = (_aten.clone, _aten.detach, _aten.alias)
_RESHAPES = (*ALIASES, _aten.view, _aten.unsqueeze, _aten.squeeze, _aten.expand, _aten._unsafe_view)


def emits(*targets: object) -> Callable[[Given], Given]:
    """Register the emitter of torch operators."""

    def register(emitter: Given) -> Given:
        for target in targets:
            EMITTERS[target] = emitter
        return emitter

    return register


class Walk:
    """Emits a traced graph into ``builder``."""

    def __init__(self, module: fx.GraphModule) -> None:
        self.module = module
        self.builder = Builder()
        self.values: dict[fx.Node, Any] = {}

    def run(self, names: Sequence[str]) -> Argument:
        """Walk; the graph's inputs get ``names``. Return its output, tensors replaced by values."""
        waiting = iter(names)
        for node in self.module.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self.builder.input(next(waiting), shape_of(node))
            elif node.op == "get_attr":
                self.values[node] = operator.attrgetter(node.target)(self.module).detach()
            elif node.op == "output":
                return fx.node.map_arg(node.args[0], lambda n: self.values[n])
            else:
                self.values[node] = self._computed(node)
        raise AssertionError("a traced graph has an output")

    def _computed(self, node: fx.Node) -> Argument:
        self.builder.origin, self.builder.operator = origin_of(node), str(node.target)
        if node.target is operator.getitem:
            return self.values[node.args[0]][node.args[1]]  # type: ignore[index]
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and "empty" not in name:
            raise self.refusal(node, "draws random numbers", "pass them as a part of the sample")
        if not any(isinstance(v, Ref) for v in _flat(self.values[n] for n in node.all_input_nodes)):
            return self._constant(node)
        emitter = EMITTERS.get(node.target) or EMITTERS.get(getattr(node.target, "overloadpacket", None))
        if emitter is None:
            raise self.refusal(
                node, "has no canonical form", "docs/circuits.md lists what may be used instead"
            )
        try:
            return emitter(self, node)
        except CallerError as e:
            if e.message.startswith(str(self.builder.origin)):
                raise
            raise CallerError(f"{self.builder.origin}: {e.message}", hint=e.hint) from e
        # An emitter met a form of the operator that it was not written for.
        except Exception as e:
            reason = f"has no canonical form here ({type(e).__name__}: {e})"
            raise self.refusal(node, reason, "write it with other operators") from e

    def _constant(self, node: fx.Node) -> Argument:
        args = fx.node.map_arg(node.args, lambda n: self.values[n])
        kwargs = fx.node.map_arg(node.kwargs, lambda n: self.values[n])
        target: Any = node.target
        return target(*args, **kwargs)

    def refusal(self, node: fx.Node, reason: str, hint: str) -> CallerError:
        """Make the error that an operator cannot be exported."""
        return CallerError(f"{origin_of(node)}: {node.target} {reason}", hint=hint)

    def value(self, argument: Argument) -> Argument:
        """Return the value of an argument: a node's, or a number as a constant."""
        if isinstance(argument, fx.Node):
            return self.values[argument]
        if isinstance(argument, int | float | bool):
            return torch.tensor(float(argument))
        return argument

    def ref(self, value: Argument) -> Ref:
        """Put a value into the graph, constants included."""
        if isinstance(value, Ref):
            return value
        value = self.value(value)
        if isinstance(value, Ref):
            return value
        if value.dtype == torch.bool:
            return Ref(self.builder.constant(value.numpy(), np.bool_), tuple(value.shape), "bool")
        return Ref(self.builder.constant(value.double().numpy()), tuple(value.shape))

    def argument(self, node: fx.Node, index: int, name: str, default: Argument = None) -> Argument:
        """Return an argument by its place or name."""
        return node.args[index] if index < len(node.args) else node.kwargs.get(name, default)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Shape of a traced tensor."""
    return tuple(int(n) for n in node.meta["val"].shape)


def packet_of(node: object) -> object:
    """Return the operator of a traced node, whatever its overload."""
    return getattr(node.target, "overloadpacket", None) if isinstance(node, fx.Node) else None


def through_reshapes(node: Argument) -> Argument:
    """Return what a chain of reshapes and copies begins with."""
    while isinstance(node, fx.Node) and packet_of(node) in _RESHAPES:
        node = node.args[0]
    return node


def uniform(value: object) -> float | None:
    """The one number that a constant consists of, or None."""
    if not isinstance(value, Tensor) or value.dtype == torch.bool or not value.numel():
        return None
    first = value.reshape(-1)[0]
    return float(first) if bool((value == first).all()) else None


def _flat(values: Argument) -> Argument:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value
