"""Looking after an attempt that is waited for: whether what it waits for is still there."""

from __future__ import annotations

import time

from fedproof.provers.ray.nodes import Nodes
from fedproof.provers.ray.placement import Placement

#: How long Ray may take to say what became of a proof after a node has left.
DOUBT_S = 5.0


class Gone(Exception):
    """A task will not be answered: ``node`` is gone, or without it all nodes that might take it."""

    def __init__(self, node: str | None) -> None:
        super().__init__(node)
        self.node = node


class Watch:
    """Looks after one attempt while it is waited for. Ray itself waits for a node that did not hang up."""

    def __init__(self, nodes: Nodes, placement: Placement, attempt: str) -> None:
        self.nodes, self.placement, self.attempt = nodes, placement, attempt
        self.node: str | None = None
        self.left = nodes.left
        self.since: float | None = None

    def look(self) -> None:
        """Raise :class:`Gone` if the attempt's node is gone, or may be, or every node that may take it."""
        self.node = self.node or self.nodes.where(self.attempt)
        if self.node is not None:
            if not self.nodes.lives(self.node):
                raise Gone(self.node)
        elif not self.placement.possible(self.nodes):
            raise Gone(None)
        elif self.nodes.left != self.left:
            # It waits in line, or had just begun on the node that left: to begin again costs its place.
            self.since = self.since or time.monotonic()
            if time.monotonic() - self.since > DOUBT_S:
                raise Gone(None)
