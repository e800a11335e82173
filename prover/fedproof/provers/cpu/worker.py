"""The worker's side of the CPU backend: a process of its own.

A panic in ezkl or an out-of-memory kill ends the process and nothing else.

As ``python -m fedproof.provers.cpu.worker --serve FD`` it does the tasks that come through a pipe until that
is closed; as ``python -m fedproof.provers.cpu.worker REQUEST ANSWER`` one, from a JSON file to another.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fedproof.errors import FedproofError
from fedproof.files import write_whole
from fedproof.provers.cpu.tasks import TASKS, Request, damage
from fedproof.provers.cpu.vectors import felt

__all__ = ["felt", "main", "serve"]

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def answer_to(request: Request) -> dict[str, Any]:
    """Do a task; its error is an answer too. ``last``: nobody should rely on this process any more."""
    try:
        return TASKS[request["task"]](request)
    except FedproofError as e:
        return {"error": type(e).__name__, "message": str(e)}
    # Whatever happened becomes an answer, a panic of ezkl (a BaseException) too.
    except BaseException as e:  # noqa: BLE001
        message = f"{request['task']}: {type(e).__name__}: {e}"
        if request["task"] in ("prove", "witness") and (fault := damage(request)):
            message = str(fault)
        return {"error": "TerminalError", "message": message, "last": True}


def main(request_path: str, answer_path: str) -> None:
    """Do one task."""
    request: Request = json.loads(Path(request_path).read_text())
    answer = answer_to(request)
    answer.pop("last", None)
    write_whole(Path(answer_path), json.dumps(answer))


def serve(descriptor: int) -> None:
    """Do tasks until the pipe is closed, or one of them ended in a panic."""
    # An interrupt of the terminal reaches all processes: the caller decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as connection:
        while True:
            try:
                request = json.loads(connection.recv_bytes())
            except (EOFError, OSError):
                return
            answer = answer_to(request)
            give_back()
            connection.send_bytes(json.dumps(answer).encode())
            if answer.get("last"):
                return


def give_back() -> None:
    """Give freed memory back to the machine: a worker that proved would keep three quarters of its peak."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        if trim is not None:
            trim(0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its caller dies: nobody would read the answer. Linux only."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)  # it died before that


if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    else:
        main(*sys.argv[1:3])
