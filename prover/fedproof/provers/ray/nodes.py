"""The caller's view of a cluster: which nodes may prove, what each has, what began where."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

from fedproof.errors import FedproofError, RetryableError
from fedproof.provers.ray.connection import Ray, library
from fedproof.provers.ray.demand import Demand
from fedproof.provers.ray.kit import Kit
from fedproof.provers.ray.node import (
    DISTRIBUTIONS,
    NAMESPACE,
    REMEMBERED,
    Store,
    make_probe,
    store_name,
    versions,
)
from fedproof.provers.ray.transfer import send

#: How often the list of nodes is read again, at most; how long a node may take to answer for itself.
FRESH_S, ANSWER_S = 1.0, 60.0
#: How often a call that waits looks whether what it waits for is still there.
LOOK_S = 1.0
#: How long the stores may take to say what began on them.
ASK_S = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Node:
    """A node that may prove. ``resources`` as Ray counts them; memory in bytes."""

    ident: str
    address: str
    resources: dict[str, float]
    store: Ray


class Nodes:
    """Nodes of the cluster, asked for their versions before anything is sent to them. Thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ray = library()
        self._expected = versions()
        self._lock = threading.RLock()
        self._read_at = float("-inf")
        self._usable: dict[str, Node] = {}
        self._sending: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._holders: defaultdict[str, set[str]] = defaultdict(set)
        self._asking = threading.Lock()
        self._asked_at = float("-inf")
        self._heard: defaultdict[str, int] = defaultdict(int)
        self._began: OrderedDict[str, str] = OrderedDict()
        #: How many nodes have left so far.
        self.left = 0
        #: Nodes that may not prove, and why.
        self.refused: dict[str, str] = {}

    # -- who is there -------------------------------------------------------------------------------

    def usable(self) -> list[Node]:
        """Nodes that live, have cores, and have our versions."""
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_S:
                self._read()
                self._read_at = time.monotonic()
            return list(self._usable.values())

    def _read(self) -> None:
        alive = {
            n["NodeID"]: n for n in self._ray.nodes() if n["Alive"] and n["Resources"].get("CPU", 0) >= 1
        }
        for gone in set(self._usable) - set(alive):
            del self._usable[gone]
            self.left += 1
        new = [i for i in alive if i not in self._usable and i not in self.refused]
        probe = self._ray.remote(make_probe())
        asked = {
            i: probe.options(num_cpus=0, max_retries=0, **self._on(i)).remote(DISTRIBUTIONS) for i in new
        }
        for ident, answer in asked.items():
            try:
                found = self._ray.get(answer, timeout=ANSWER_S)
            except self._ray.exceptions.RayError as e:
                # It may be starting, or dying: it is asked again.
                _log.warning("node %s does not answer: %s", ident[:8], type(e).__name__)
                continue
            if found != self._expected:
                self.refuse(ident, found)
                continue
            node = alive[ident]
            options = {"name": store_name(self._name, ident), "namespace": NAMESPACE, **self._on(ident)}
            store = self._ray.remote(Store).options(num_cpus=0, **options).remote()
            self._usable[ident] = Node(ident, node["NodeManagerAddress"], node["Resources"], store)

    def _on(self, ident: str) -> dict[str, Any]:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(ident, soft=False)
        return {"scheduling_strategy": strategy}

    def refuse(self, ident: str, found: dict[str, str]) -> None:
        """Never use a node: it has other versions."""
        wrong = ", ".join(
            f"{n} {found.get(n)} (here {v})" for n, v in self._expected.items() if found.get(n) != v
        )
        with self._lock:
            self._usable.pop(ident, None)
            if ident not in self.refused:
                self.refused[ident] = f"node {ident[:8]} has {wrong}"
                _log.warning("%s and is not used", self.refused[ident])

    def able(self, demand: Demand) -> list[Node]:
        """Nodes that could ever run a proof of this demand."""
        return [n for n in self.usable() if demand.fits(n.resources)]

    def capacity(self, cores: int) -> int:
        """How many proofs of so many cores the cluster runs at once, at least 1."""
        return max(1, sum(int(n.resources["CPU"]) // cores for n in self.usable()))

    def most(self, resource: str) -> float:
        """The largest amount of a resource that one node has."""
        return max((n.resources.get(resource, 0.0) for n in self.usable()), default=0.0)

    # -- what is where ------------------------------------------------------------------------------

    def fill(self, ident: str, kit: Kit, digests: tuple[str, ...]) -> None:
        """Send files to a node, each once however many threads ask; from a node that has it, if any does.

        Raises :class:`RetryableError` if the node is gone or does not get what was sent.
        """
        sizes = {f.digest: f.size for f in (*kit.files, kit.srs)}
        for digest in digests:
            with self._lock:
                once, node = self._sending[ident, digest], self._usable.get(ident)
            if node is None:
                raise RetryableError(f"node {ident[:8]} is gone")
            with once:
                if self._get(node, node.store.lacks.remote([digest])):
                    self._send(node, kit, digest, sizes[digest])
                with self._lock:
                    self._holders[digest].add(ident)

    def _send(self, node: Node, kit: Kit, digest: str, size: int) -> None:
        def get(reference: Ray) -> Ray:
            return self._get(node, reference)

        with self._lock:
            peers = [self._usable[i] for i in self._holders[digest] - {node.ident} if i in self._usable]
        for peer in peers[:1]:
            try:
                send(get, node.store, digest, size, peer.store)
            except FedproofError as e:
                # The peer may have cleared its cache or be gone: our own copy is as good.
                _log.info("node %s did not pass a file on: %s", peer.ident[:8], e)
                with self._lock:
                    self._holders[digest].discard(peer.ident)
            else:
                return
        send(get, node.store, digest, size, kit.paths()[digest])

    def _get(self, node: Node, reference: Ray) -> Ray:
        """Return what a node's store answers; raises its error, or :class:`RetryableError` if it is gone."""
        errors = self._ray.exceptions
        try:
            while not self._ray.wait([reference], timeout=LOOK_S)[0]:
                if not self.lives(node.ident):
                    raise RetryableError(f"node {node.ident[:8]} was lost while it received a file")
            return self._ray.get(reference)
        except errors.RayTaskError as e:
            if isinstance(e.cause, FedproofError):
                raise e.cause from e
            raise RetryableError(f"node {node.ident[:8]} could not keep a file: {e.cause}") from e
        except errors.RayError as e:
            raise RetryableError(f"node {node.ident[:8]} was lost while it received a file") from e

    def where(self, attempt: str, *, ended: bool = False) -> str | None:
        """Return the node on which an attempt began, None if it has not, or no node says so.

        What nodes said is kept: it is of use when they are gone. Of one that ``ended`` they are asked even
        if they were a moment ago: it may have begun since, and will not be asked for again.
        """
        with self._asking:
            stale = time.monotonic() - self._asked_at >= FRESH_S
            if attempt not in self._began and (stale or ended):
                self._ask()
                self._asked_at = time.monotonic()
            return self._began.get(attempt)

    def _ask(self) -> None:
        asked = {n.ident: n.store.began.remote(self._heard[n.ident]) for n in self.usable()}
        for ident, answer in asked.items():
            try:
                self._heard[ident], new = self._ray.get(answer, timeout=ASK_S)
            except self._ray.exceptions.RayError:
                continue
            self._began.update(dict.fromkeys(new, ident))
        while len(self._began) > REMEMBERED:
            self._began.popitem(last=False)

    def lives(self, ident: str) -> bool:
        """Whether a node is still there."""
        return any(n.ident == ident for n in self.usable())

    def received(self) -> dict[str, dict[str, int]]:
        """How often each node received each file, by node and digest."""
        return {n.ident: self._ray.get(n.store.received.remote()) for n in self.usable()}

    def close(self) -> None:
        """End the stores; what they received stays in the nodes' folders."""
        with self._lock:
            for node in self._usable.values():
                self._ray.kill(node.store)
            self._usable.clear()
            self._read_at = float("-inf")
