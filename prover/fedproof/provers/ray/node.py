"""What runs on a node: the task that proves, and the store that receives files."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fedproof.errors import FedproofError, TerminalError
from fedproof.provers.base import ProofRun, Prover
from fedproof.provers.ray.cache import Cache
from fedproof.provers.ray.kit import Kit

#: Distributions whose versions must be equal on caller and node.
DISTRIBUTIONS = ("fedproof", "ezkl")
NAMESPACE = "fedproof"
#: Jobs that a store remembers to have begun on its node.
REMEMBERED = 10_000


@dataclass(frozen=True)
class Job:
    """One proof: what to prove, of which vectors, with which backend of the node.

    ``attempt`` is a name of its own for every attempt, ``store`` the name of the caller's stores.
    """

    attempt: str
    store: str
    kit: Kit
    slots: tuple[tuple[int, ...], ...]
    backend: str
    shared: bool


@dataclass(frozen=True)
class Answer:
    """What a node says of a job: a proof, an error, or the digests of the files that it lacks.

    ``began`` and ``ended`` are seconds of the node's clock.
    """

    node: str
    began: float
    ended: float
    run: ProofRun | None = None
    error: FedproofError | None = None
    missing: tuple[str, ...] = ()


def versions() -> dict[str, str]:
    """Return the versions that must agree, here."""
    return make_probe()(DISTRIBUTIONS)


def store_name(store: str, node: str) -> str:
    """Name of the actor that receives the files of a caller on a node."""
    return f"{store}-{node}"


# -- functions that travel by value: a node with another version of this package, or none, can run them ---


def make_probe() -> Callable[[tuple[str, ...]], dict[str, str]]:
    """Return a function that looks up the versions of distributions where it runs."""

    def probe(distributions: tuple[str, ...]) -> dict[str, str]:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        found = {}
        for name in distributions:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = "none"
        return found

    return probe


def make_task() -> Callable[[dict[str, str], bytes], tuple[str, Any]]:
    """Return the task: from versions and a pickled job to ``("answer", Answer)``.

    A node with other versions says ``("refused", (node, its versions))``.
    """
    probe = make_probe()

    def prove_on_node(expected: dict[str, str], payload: bytes) -> tuple[str, Any]:
        import ray as library  # noqa: PLC0415

        node = library.get_runtime_context().get_node_id()
        found = probe(tuple(expected))
        if found != expected:
            return "refused", (node, found)
        from fedproof.provers.ray.node import work  # noqa: PLC0415

        return "answer", work(payload, node)

    return prove_on_node


# -- what this package does there -------------------------------------------------------------------

_PROVERS: dict[str, Prover] = {}


def work(payload: bytes, node: str) -> Answer:
    """Do a job in the task's process; whatever goes wrong is part of the answer."""
    began = time.time()
    job: Job = pickle.loads(payload)

    def answer(**what: Any) -> Answer:  # noqa: ANN401 - fields of Answer
        return Answer(node, began, time.time(), **what)

    try:
        placed = Cache().place(job.kit, shared=job.shared)
        if isinstance(placed, list):
            return answer(missing=tuple(placed))
        _announce(job, node)
        return answer(run=_prover(job.backend).prove(*placed, job.slots))
    except FedproofError as e:
        return answer(error=e)
    except Exception as e:  # noqa: BLE001 - the caller is on another machine: it is told
        return answer(error=TerminalError(f"node {node[:8]}: {type(e).__name__}: {e}"))


def _prover(backend: str) -> Prover:
    """Return this process's prover: its workers stay for the next task."""
    if backend not in _PROVERS:
        from fedproof.provers.registry import open_prover  # noqa: PLC0415

        _PROVERS[backend] = open_prover(backend)
    return _PROVERS[backend]


def _announce(job: Job, node: str) -> None:
    """Tell the node's store what begins here: if this process dies, nobody else knows where it was."""
    library = importlib.import_module("ray")
    # There is no store on a node that the caller has not yet seen.
    with contextlib.suppress(ValueError):
        store = library.get_actor(store_name(job.store, node), namespace=NAMESPACE)
        store.begin.remote(job.attempt, os.getpid())


class Store:
    """An actor on each node, of one caller: receives files, remembers which jobs began."""

    def __init__(self) -> None:
        self._cache = Cache()
        self._began: deque[tuple[str, int]] = deque()
        self._forgotten = 0
        self._received: Counter[str] = Counter()

    def begin(self, attempt: str, pid: int) -> None:
        """Remember that an attempt began in process ``pid``."""
        self._began.append((attempt, pid))
        if len(self._began) > REMEMBERED:
            self._began.popleft()
            self._forgotten += 1

    def began(self, after: int) -> tuple[int, dict[str, int]]:
        """How many attempts began here, and those after the first ``after``, with their processes."""
        new = islice(self._began, max(0, after - self._forgotten), None)
        return self._forgotten + len(self._began), dict(new)

    def lacks(self, digests: list[str]) -> list[str]:
        """Which files were not received by this node."""
        return [d for d in digests if not self._cache.has(d)]

    def write(self, digest: str, offset: int, data: bytes) -> None:
        """Keep a piece of a file."""
        self._cache.write(digest, offset, data)

    def finish(self, digest: str, size: int) -> None:
        """Check and keep a file; see :meth:`Cache.finish`."""
        self._cache.finish(digest, size)
        self._received[digest] += 1

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """Return a piece of a file, for another node."""
        return self._cache.read(digest, offset, size)

    def received(self) -> dict[str, int]:
        """How often each file was received, by digest."""
        return dict(self._received)
