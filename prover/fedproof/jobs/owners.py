"""Who works on a job, and whether that process still lives."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil

#: Seconds an owner on another host is believed without a sign of life.
LEASE_S = 60.0

#: ``alive(owner, lease_ends, now)``.
Alive = Callable[[str, float, float], bool]


def new_owner() -> str:
    """Return a name for a worker in this process: host, process, when it started, and a number of its own."""
    pid = os.getpid()
    return "|".join((_host(), str(pid), _started(pid) or "?", secrets.token_hex(4)))


def owner_lives(owner: str, lease_ends: float, now: float) -> bool:
    """Whether the process behind ``owner`` may still be at work.

    On this host that is known: a process id is reused, but not together with its start. Of another host (or
    another container, or before a reboot) only the lease tells.
    """
    host, pid, started, _ = owner.split("|")
    if host != _host():
        return now < lease_ends
    return _started(int(pid)) == started


def shown(owner: str) -> str:
    """Return an owner for people: process and host."""
    host, _, rest = owner.partition("|")
    return f"{rest.partition('|')[0]}@{host.partition('/')[0]}"


@cache
def _host() -> str:
    """Where process ids mean what they mean here: the machine since its start, and the container."""
    boot = namespace = "-"
    if Path("/proc/sys/kernel/random/boot_id").is_file():
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        # Hosts and containers can share a name.
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    return f"{socket.gethostname().replace('|', '-')}/{boot}/{namespace}"


def _started(pid: int) -> str | None:
    """When a process started; None if there is none, or only its exit code is left of it."""
    try:
        # In ticks since boot: psutil's time in seconds moves when the clock is set.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        if Path("/proc/self/stat").is_file():
            return None
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None
