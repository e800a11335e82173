"""Where an integer node comes from: the float node it was lowered from, and its place in the user's model."""

from __future__ import annotations

from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class Origin:
    """A float node: its name and type, the module path and source line it was traced from, forward or not.

    What the exporter could not place has an empty ``module`` or ``source``.
    """

    name: str
    op: str
    module: str = ""
    source: str = ""
    gradient: bool = False

    @property
    def layer(self) -> str:
        """The module, or where there is none the float node; the gradient of it apart."""
        return f"{self.module or self.name}{' (gradient)' if self.gradient else ''}"

    @property
    def place(self) -> str:
        """Where in the user's code it comes from, as far as that is known; else an empty text."""
        if not self.module and not self.source:
            return ""
        text = f"{self.module or 'the model'}{f' ({self.source})' if self.source else ''}"
        return f"the gradient of {text}" if self.gradient else text


def origin_of(node: onnx.NodeProto) -> Origin:
    """Return the origin of what ``node`` is lowered to, from its metadata."""
    known = {entry.key: entry.value for entry in node.metadata_props}
    return Origin(
        node.name or (node.output[0] if node.output else ""),
        node.op_type,
        known.get("module", ""),
        known.get("source", ""),
        known.get("pass") == "gradient",
    )
