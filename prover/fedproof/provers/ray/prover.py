"""Proofs on a Ray cluster: one task a proof, placed by cores and memory, tried elsewhere when it is lost."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.provers.base import Closing, ProofRun, ProverKilled
from fedproof.provers.cpu import CpuProver
from fedproof.provers.cpu.backend import cores as machine_cores
from fedproof.provers.memory import budget_bytes
from fedproof.provers.ray import connection
from fedproof.provers.ray.connection import Ray
from fedproof.provers.ray.demand import cores_setting
from fedproof.provers.ray.kit import Digests, Kit, describe
from fedproof.provers.ray.node import Answer, Job, make_task, versions
from fedproof.provers.ray.nodes import LOOK_S, Nodes
from fedproof.provers.ray.placement import History, Placement, place
from fedproof.provers.ray.watch import Gone, Watch

#: How many workers or nodes one proof may lose before it is given up: it may be what kills them.
ATTEMPTS_SETTING, ATTEMPTS = "FEDPROOF_RAY_ATTEMPTS", 3
#: Tasks given to Ray at once, by what the cluster runs at once: the next is there when one ends.
AHEAD = 2
#: How long closing waits for the calls that it ends.
CLOSING_S = 10.0

_log = logging.getLogger(__name__)


@dataclass
class _Cluster:
    """What an open prover holds."""

    connection: connection.Connection
    nodes: Nodes
    name: str
    task: Ray
    closed: threading.Event = field(default_factory=threading.Event)

    def demand_open(self) -> None:
        """Raise :class:`ProverKilled` in calls that run while the prover is closed."""
        if self.closed.is_set():
            raise ProverKilled("the prover was closed while it proved")


class RayProver(Closing):
    """Proves on the nodes of a Ray cluster, each with its own ``backend``; verifies here.

    ``where`` is ``HOST:PORT`` of an existing cluster's client server. Without it the cluster is the one that
    ``RAY_ADDRESS`` names, the one this process is connected to, or a local one started for it with ``cores``
    and ``memory`` bytes (default: all cores, the budget of a proving machine). With ``shared`` false files
    are sent even where the caller's paths lead to them.
    """

    name = "ray"

    def __init__(
        self,
        where: str = "",
        *,
        backend: str = "cpu",
        cores: int | None = None,
        memory: int | None = None,
        shared: bool = True,
    ) -> None:
        self.where = where
        self.backend = backend
        self.shared = shared
        self.toolchain = f"ezkl {version('ezkl')}"
        self._address = connection.address_of(where)
        self._cores = cores or machine_cores()
        self._memory = memory or budget_bytes()
        self._attempts = _attempts()
        self._digests = Digests()
        self._lock = threading.Lock()
        self._room = threading.Condition()
        self._running = 0
        self._state: _Cluster | None = None
        self._verifier = CpuProver()

    # -- the cluster --------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, or start the local cluster. Calls do it by themselves."""
        self._cluster()

    def close(self) -> None:
        """Leave the cluster; a local one ends. Calls that run end with :class:`ProverKilled`."""
        with self._lock:
            state, self._state = self._state, None
        if state is not None:
            state.closed.set()
            with self._room:
                # They take their tasks back, for which the connection is needed.
                self._room.notify_all()
                self._room.wait_for(lambda: self._running == 0, CLOSING_S)
            try:
                state.nodes.close()
            finally:
                connection.release(state.connection)
        self._verifier.close()

    def _cluster(self) -> _Cluster:
        with self._lock:
            if self._state is None:
                made = connection.acquire(self._address, self._memory, self._cores, explicit=bool(self.where))
                name = f"store-{uuid.uuid4().hex[:12]}"
                task = connection.library().remote(make_task())
                self._state = _Cluster(made, Nodes(name), name, task)
            return self._state

    @property
    def parallel(self) -> int:
        """How many small proofs the cluster runs at once; see :class:`fedproof.provers.base.Prover`."""
        return self.nodes.capacity(cores_setting() or 1)

    @property
    def nodes(self) -> Nodes:
        """The nodes of the cluster, and those that were refused."""
        return self._cluster().nodes

    def verify(self, folder: Path, srs: Path, proof: bytes, instances: Sequence[int]) -> bool:
        """Check a proof on this machine: what another machine says of it is no check."""
        return self._verifier.verify(folder, srs, proof, instances)

    # -- a proof ------------------------------------------------------------------------------------

    def prove(self, folder: Path, srs: Path, slots: Sequence[Sequence[int]]) -> ProofRun:
        """See :class:`fedproof.provers.base.Prover`. The vectors travel to the node that proves."""
        started = time.perf_counter()
        kit = describe(folder, srs, self._digests)
        vectors = tuple(tuple(int(v) for v in slot) for slot in slots)
        cluster, history = self._cluster(), History(self._attempts)
        with self._turn(cluster):
            while True:
                job = Job(uuid.uuid4().hex, cluster.name, kit, vectors, self.backend, self.shared)
                answer = self._attempt(cluster, job, history)
                if answer is None:
                    continue
                if answer.run is not None:
                    there = answer.ended - answer.began - answer.run.waited_s
                    waited = time.perf_counter() - started - there
                    where = f"node {answer.node[:8]} {answer.run.worker}".strip()
                    return replace(answer.run, waited_s=max(0.0, waited), worker=where)
                if isinstance(answer.error, ProverKilled):
                    self._lost(history, answer.node, str(answer.error))
                elif answer.error is not None:
                    raise answer.error
                else:
                    self._fill(cluster, kit, answer, history)

    @contextmanager
    def _turn(self, cluster: _Cluster) -> Iterator[None]:
        """Wait while Ray has enough to do: what waits here does not fill its object store."""
        with self._room:
            while self._running >= AHEAD * cluster.nodes.capacity(cores_setting() or 1):
                self._room.wait(LOOK_S)
                cluster.demand_open()
            self._running += 1
        try:
            yield
        finally:
            with self._room:
                self._running -= 1
                self._room.notify_all()

    def _attempt(self, cluster: _Cluster, job: Job, history: History) -> Answer | None:
        """Give a job to Ray once; None where all there is to tell is in ``history``."""
        cluster.demand_open()
        errors = connection.library().exceptions
        placement = place(cluster.nodes, Path(job.kit.folder), self.backend, history)
        payload = pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
        reference = cluster.task.options(**placement.options).remote(versions(), payload)
        try:
            kind, told = self._await(cluster, reference, placement, job.attempt)
        except Gone as e:
            if e.node is None:
                _log.warning("a proof may be lost with a node that left, and begins again")
            else:
                self._lost(history, e.node, "the node was lost")
            return None
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as e:
            cause = "had no memory left" if isinstance(e, errors.OutOfMemoryError) else "was killed"
            self._lost(history, cluster.nodes.where(job.attempt, ended=True), f"Ray's worker {cause}")
            return None
        except errors.RayTaskError as e:
            raise TerminalError(f"the task failed on its node: {type(e.cause).__name__}: {e.cause}") from e
        except (errors.RayError, ConnectionError) as e:
            self._lost(history, None, f"{type(e).__name__}: {' '.join(str(e).split())[:200]}")
            return None
        if kind == "refused":
            cluster.nodes.refuse(*told)
            return None
        answer: Answer = told
        return answer

    def _await(self, cluster: _Cluster, reference: Ray, placement: Placement, attempt: str) -> Ray:
        """Return what a task says; raises :class:`Gone` if its node is, or every node that may run it."""
        ray, watch = connection.library(), Watch(cluster.nodes, placement, attempt)
        try:
            while not ray.wait([reference], timeout=LOOK_S)[0]:
                cluster.demand_open()
                watch.look()
            return ray.get(reference)
        except (ray.exceptions.RayError, ConnectionError):
            raise
        except BaseException:
            # Nobody waits for it any more: its worker is stopped.
            ray.cancel(reference, force=True)
            raise

    def _fill(self, cluster: _Cluster, kit: Kit, answer: Answer, history: History) -> None:
        history.fill(answer.node)
        try:
            cluster.nodes.fill(answer.node, kit, answer.missing)
        except RetryableError as e:
            self._lost(history, answer.node, str(e))
        else:
            history.near = answer.node

    def _lost(self, history: History, node: str | None, cause: str) -> None:
        history.lost(node, cause)
        _log.warning("a proof was lost (%s) and is tried again", history.losses[-1])


def _attempts() -> int:
    text = os.environ.get(ATTEMPTS_SETTING) or str(ATTEMPTS)
    if not text.isdecimal() or int(text) < 1:
        raise CallerError(f"{ATTEMPTS_SETTING} is {text!r}, no number of attempts")
    return int(text)
