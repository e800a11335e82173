"""How much memory all proofs on this machine may have together."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from fedproof.errors import CallerError

#: The budget as ``8GiB``; without it a share of what the machine, or the container, has.
SETTING = "FEDPROOF_MEMORY"
SHARE = 0.8
#: Version 1 writes this, or something near it, for no limit.
_NO_LIMIT = 2**60


def budget_bytes(given: int | str | None = None) -> int:
    """Return the budget in bytes: ``given``, else ``FEDPROOF_MEMORY``, else ``SHARE`` of the machine's.

    Raises :class:`CallerError` where it is no amount of memory.
    """
    text = given if given is not None else os.environ.get(SETTING)
    if not text:
        return machine_budget()
    if isinstance(text, int):
        amount = text
    else:
        from fedproof.circuits.fitting import parse_bytes  # noqa: PLC0415 - slow to import

        amount = parse_bytes(text)
    if amount <= 0:
        raise CallerError(f"a budget of {text} is none", hint=f"set {SETTING} to an amount such as 8GiB")
    return amount


def machine_budget() -> int:
    """Return what the budget is where nobody says: a share of the machine's memory, in bytes."""
    return int(machine_bytes() * SHARE)


def machine_bytes() -> int:
    """Return the memory of the machine, or the smallest limit of the control groups this process is in."""
    total = int(psutil.virtual_memory().total)
    return min([total, *_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _limits(own: Path, root: Path) -> list[int]:
    """Limits of the groups in ``own``, a /proc/PID/cgroup, and of those above them, in bytes."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        # Version 2 has one tree and no names, version 1 a tree of its own for memory.
        base, file = (root / "memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder != base and base not in folder.parents:
                break
            try:
                text = (folder / file).read_text().strip()
            except OSError:
                continue  # inside a container the path is the host's, the limit stands at the root
            if text.isdecimal() and int(text) < _NO_LIMIT:
                found.append(int(text))
    return found
