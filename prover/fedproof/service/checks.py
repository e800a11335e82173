"""The checks of an operator: chain, hub, SRS, disk, queue, and the service's own loop."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from fedproof.chain.client import ChainClient
from fedproof.errors import CallerError, RetryableError, TerminalError
from fedproof.jobs import JobStore, State
from fedproof.service.aggregator import AggregatorService
from fedproof.service.health import Check
from fedproof.srs import SrsStore

_MIB = 1 << 20


def impatient(client: ChainClient) -> ChainClient:
    """The same chain, asked once and not waited for: a check says what is so now."""
    return ChainClient(client.chain, client.url, timeout_s=3, attempts=1)


def chain_answers(open_client: Callable[[], ChainClient], hub: str) -> Check:
    """Check that the L2 answers, and has a contract at ``hub``."""

    def check() -> str:
        client = open_client().connect()
        height = client.height()
        if not client.code(hub):
            raise TerminalError(f"{client.chain.name} has no hub at {hub}")
        return f"{client.chain.name}, block {height}"

    return check


def srs_is_there(store: SrsStore, logrows: Iterable[int] = ()) -> Check:
    """Check that the SRS of these sizes are there and undamaged; without sizes, that there is any."""
    wanted = sorted(set(logrows))

    def check() -> str:
        sizes = wanted or sorted(int(p.stem[1:]) for p in store.folder.glob("k*.srs"))
        if not sizes:
            raise CallerError(f"no SRS in {store.folder}")
        found = [store.get(k) for k in sizes]
        kind = "development" if any(s.development for s in found) else "imported"
        return f"{kind}, k = {', '.join(map(str, sizes))}"

    return check


def disk_has_room(folder: Path, least_bytes: int) -> Check:
    """Check that ``folder`` has ``least_bytes`` free."""

    def check() -> str:
        place = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(place).free
        if free < least_bytes:
            raise TerminalError(f"{free // _MIB:,} MiB free in {place}, {least_bytes // _MIB:,} MiB wanted")
        return f"{free // _MIB:,} MiB free"

    return check


def queue_moves(store: JobStore, stuck_s: float) -> Check:
    """Check that no job waits for more than ``stuck_s`` seconds while none is worked on."""

    def check() -> str:
        running, queued = store.jobs([State.RUNNING]), store.jobs([State.QUEUED])
        waited = max((time.time() - max(j.changed, j.not_before) for j in queued), default=0.0)
        if queued and not running and waited > stuck_s:
            raise RetryableError(f"{len(queued)} jobs wait, for up to {waited:.0f} s, and none is worked on")
        return f"{len(queued)} queued, {len(running)} running"

    return check


def loop_turns(service: AggregatorService) -> Check:
    """Check that the aggregator still looks at the hub, or is proving."""

    def check() -> str:
        stage = service.settler.stage
        ago = time.monotonic() - service.progress.looked
        if stage is not None:
            return f"round {service.progress.number}: {stage}"
        # Between two looks it may wait for most_s, and a chain that is silent is asked several times.
        if ago > 3 * service.pace.most_s + 60:
            raise TerminalError(f"the hub was last looked at {ago:.0f} s ago")
        return f"round {service.progress.number}, looked {ago:.0f} s ago"

    return check


def rounds_end(service: AggregatorService) -> Check:
    """Check that nothing keeps a round from ending."""

    def check() -> str:
        problem = service.progress.problem
        if problem is not None:
            raise RetryableError(f"round {problem.number}: {problem.kind}: {problem.detail}")
        return "nothing is in the way"

    return check
