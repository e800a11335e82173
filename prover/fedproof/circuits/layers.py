"""Cells of a training circuit by the layer of the user's model that they are for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fedproof.lowering import Program
from fedproof.lowering.circuit.counting import CellCounter
from fedproof.lowering.circuit.purposes import Kind
from fedproof.lowering.ir import Node
from fedproof.lowering.origins import Origin

#: Hints that say more about what they are computed from than about where they were needed.
DERIVED = frozenset({"div_round", "limb", "exact"})
#: What belongs to no layer in particular.
SHARED = "shared"
#: Not a layer of its own: its products with a constant are part of each gradient.
OPTIMISER = "optimiser"


@dataclass
class Layer:
    """A module, or a function outside any; the gradient of each is a layer of its own. Cells by kind."""

    name: str
    source: str = ""
    cells: Counter[Kind] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All cells."""
        return sum(self.cells.values())


def layer_of(program: Program, node: Node) -> Origin | None:
    """Return the float node that ``node`` belongs to; None for inputs and what is computed from nothing.

    What a later layer had rescaled belongs to the layer whose result it is.
    """
    origin = program.origins.get(node.id)
    vague = origin is None or origin.module == OPTIMISER or not (origin.module or origin.source)
    derived = node.op == "hint" and node.attr("kind") in DERIVED
    if (vague or derived) and node.inputs:
        before = [layer_of(program, program.nodes[i]) for i in node.inputs[:1]]
        found = next((o for o in before if o is not None), None)
        if found is not None:
            return found
    return None if vague else origin


def name_of(program: Program, node: Node) -> tuple[str, str]:
    """Name and source line of the layer that a node belongs to; of a committed input, its vector."""
    slot = next((s.name for s in program.slots if node.id in s.nodes), None)
    if node.op == "input":
        return str(slot or node.attr("name")), ""
    origin = layer_of(program, node)
    if origin is None:
        return str(slot or SHARED), ""
    name = origin.module or origin.op.lower()
    return f"{name} (gradient)" if origin.gradient else name, origin.source


def by_layer(program: Program, columns: int, counter: CellCounter | None = None) -> list[Layer]:
    """Return the layers in order of their first node; what is shared comes last. Their totals add up."""
    layers: dict[str, Layer] = {}
    counted = (counter or CellCounter(program)).by_purpose(columns)
    for purpose, cells in sorted(counted.items(), key=lambda item: _order(item[0].node)):
        if not cells:
            continue
        node = None if purpose.node is None else program.nodes[purpose.node]
        name, source = (SHARED, "") if node is None else name_of(program, node)
        layer = layers.setdefault(name, Layer(name, source))
        layer.source = layer.source or source
        layer.cells[purpose.kind] += cells
    return list(layers.values())


def totals(layers: list[Layer]) -> Mapping[str, int]:
    """Cells by the layer's name."""
    return {layer.name: layer.total for layer in layers}


def _order(node: int | None) -> int:
    return 2**62 if node is None else node
