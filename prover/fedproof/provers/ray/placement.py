"""Where a proof may run: what it asks of a node, and which nodes are out of the question."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.provers.base import BeyondBudget, ProverKilled
from fedproof.provers.ray.connection import library
from fedproof.provers.ray.demand import Demand, demand_of
from fedproof.provers.ray.nodes import LOOK_S, Nodes

#: How long a call waits where there is no node.
PATIENCE_S = 60.0
#: How often one node may be sent the files of one proof: a cache that loses them is no cache.
FILLS = 2


@dataclass
class History:
    """What became of the attempts at one proof. ``most`` is how many may be lost."""

    most: int
    losses: list[str] = field(default_factory=list)
    #: Nodes that lost the proof, the one that was just sent its files, and how often each was.
    avoid: set[str] = field(default_factory=set)
    near: str | None = None
    filled: dict[str, int] = field(default_factory=dict)

    def lost(self, node: str | None, cause: str) -> None:
        """Note a loss; raises :class:`ProverKilled` when there were too many: the proof may be the cause."""
        self.losses.append(f"node {node[:8]}: {cause}" if node else cause)
        self.near = None
        if node:
            self.avoid.add(node)
        if len(self.losses) >= self.most:
            raise ProverKilled(
                f"the proof was lost {len(self.losses)} times; {'; '.join(self.losses)}",
                hint="if these values always end so, look at the first cause; else try again later",
            )

    def fill(self, node: str) -> None:
        """Note that a node asked for files; raises :class:`TerminalError` if it has been sent them before."""
        self.filled[node] = self.filled.get(node, 0) + 1
        if self.filled[node] > FILLS:
            raise TerminalError(
                f"node {node[:8]} does not keep the files that it is sent", hint="look at its FEDPROOF_CACHE"
            )


@dataclass(frozen=True)
class Placement:
    """What a proof asks for, the nodes it must not run on, and both as Ray's options."""

    demand: Demand
    out: frozenset[str]
    options: dict[str, Any]

    def possible(self, nodes: Nodes) -> bool:
        """Whether a node is left that may run it."""
        return any(n.ident not in self.out for n in nodes.able(self.demand))


def place(nodes: Nodes, folder: Path, backend: str, history: History) -> Placement:
    """Say where a proof of the circuit in ``folder`` may run: not where it was lost, if others can.

    Raises :class:`BeyondBudget` if no node is large enough, :class:`CallerError` if none may prove,
    :class:`RetryableError` if none lives.
    """
    _await_nodes(nodes)
    demand = demand_of(folder, backend, int(nodes.most("CPU")))
    able = {n.ident for n in nodes.able(demand)}
    if not able:
        raise BeyondBudget(
            f"a proof needs {demand.memory / 2**30:.2f} GiB, {demand.cores} cores and {demand.gpus} GPUs; "
            f"the largest node of the cluster has {nodes.most('memory') / 2**30:.2f} GiB, "
            f"{nodes.most('CPU'):.0f} cores and {nodes.most('GPU'):.0f} GPUs",
            hint="add a larger node, or compile the circuit in segments: fedproof circuits compile --memory",
        )
    options: dict[str, Any] = {
        "num_cpus": demand.cores,
        "memory": demand.memory,
        "num_gpus": demand.gpus,
        # Ray would try the same again without looking at the cause.
        "max_retries": 0,
    }
    out = set(nodes.refused) | (history.avoid if able - history.avoid else set())
    if out:
        options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(out))})"}
    if history.near in able - out:
        strategies = library().util.scheduling_strategies
        options["scheduling_strategy"] = strategies.NodeAffinitySchedulingStrategy(
            history.near, soft=True, _spill_on_unavailable=True
        )
    return Placement(demand, frozenset(out), options)


def _await_nodes(nodes: Nodes) -> None:
    given_up = time.monotonic() + PATIENCE_S
    while not nodes.usable():
        if nodes.refused:
            raise CallerError(
                f"no node of the cluster may prove: {'; '.join(nodes.refused.values())}",
                hint="install the same versions of fedproof and ezkl on every node",
            )
        if time.monotonic() > given_up:
            raise RetryableError("no node of the cluster can prove: none lives that has cores")
        time.sleep(LOOK_S)
