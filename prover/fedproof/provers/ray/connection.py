"""The one connection of this process to a Ray cluster: a local one started for it, or one that exists."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from fedproof.errors import CallerError, RetryableError
from fedproof.provers.ray.node import NAMESPACE

#: Ray's own setting: the cluster that ``ray`` alone stands for.
ADDRESS_SETTING = "RAY_ADDRESS"
CLIENT_PORT = 10001
#: Of a local cluster. Files go by their paths there; only vectors and proofs pass through the store.
OBJECT_STORE_BYTES = 128 * 2**20

#: Ray's module, its references, its actors: nothing that has types we could rely on.
Ray = Any

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_open: Connection | None = None


def installed() -> bool:
    """Whether the extra is there. Imports nothing of it."""
    return importlib.util.find_spec("ray") is not None


def library() -> Ray:
    """Return the module ``ray``; raises :class:`CallerError` with the command that installs it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not installed():
        raise CallerError("the prover 'ray' needs Ray", hint="pip install 'fedproof[ray]'")
    return importlib.import_module("ray")


def address_of(where: str) -> str:
    """Return what ``ray`` or ``ray://WHERE`` connects to: an address, or nothing for a cluster of our own."""
    if not where:
        return os.environ.get(ADDRESS_SETTING, "")
    host, _, port = where.rpartition(":")
    if not host:
        host, port = where, str(CLIENT_PORT)
    if not port.isdecimal():
        raise CallerError(f"'ray://{where}' is no address of a cluster", hint="ray://HOST:PORT")
    return f"ray://{host}:{port}"


class Connection:
    """A connection that several provers of the process share; the last one that leaves closes it."""

    def __init__(self, address: str, memory: int, cores: int, *, explicit: bool) -> None:
        self.address = address
        self.users = 0
        #: Where the processes of a local cluster keep their sockets and logs.
        self.folder: str | None = None
        ray = library()
        #: Somebody else's: Flower's simulation, a program on Ray. Used, and left as it is.
        self.borrowed = bool(ray.is_initialized())
        if self.borrowed and explicit:
            raise CallerError(
                f"this process is connected to Ray already, maybe not to {address}",
                hint="--prover ray uses the connection that there is",
            )
        if not self.borrowed:
            self._quiet = _Quiet()
            atexit.register(self.close)
            try:
                self._connect(ray, memory, cores)
            # Ray raises whatever its transport raises.
            except Exception as e:
                self.close()
                what = f"Ray at {address}" if address else "a local Ray cluster"
                raise RetryableError(
                    f"cannot reach {what}: {_first_line(e)}",
                    hint="ray status on the head node says whether it runs"
                    if address
                    else "another prover (--prover cpu) needs no Ray",
                ) from e

    def _connect(self, ray: Ray, memory: int, cores: int) -> None:
        common = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
        if self.address:
            self._tried(ConnectionAbortedError, lambda: ray.init(self.address, **common))
            return
        # Short: Ray puts sockets there, whose paths have little room.
        short = Path("/tmp")
        self.folder = tempfile.mkdtemp(prefix="fp-ray-", dir=short if short.is_dir() else None)
        self._tried(
            Exception,
            lambda: ray.init(
                "local",
                num_cpus=cores,
                _memory=memory,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                _temp_dir=self.folder,
                **common,
            ),
        )

    def _tried(self, failure: type[Exception], connect: Callable[[], object]) -> None:
        """Connect, again after a ``failure`` that the next attempt need not meet.

        Ray gives the processes of a local cluster 30 s, which a busy machine may not have. The client server
        of a cluster forks a process for each client out of one with running threads, and now and then that
        process is dead at birth: then the cluster has answered, and refused (``ConnectionAbortedError``).
        """
        ray = library()
        for last in (False, False, True):
            try:
                connect()
            except failure as e:
                ray.shutdown()
                if self.folder is not None:
                    _end_processes(self.folder)
                if last:
                    raise
                _log.info("Ray did not start and is tried again: %s", _first_line(e))
            else:
                return

    def close(self) -> None:
        """Leave the cluster; a local one ends."""
        if self.borrowed:
            return
        atexit.unregister(self.close)
        library().shutdown()
        self._quiet.over()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


_PRINT = "print_to_stdstream"


class _Quiet:
    """Ray prints what its daemons say on stdout, where answers of commands go; here it is logged instead."""

    def __init__(self) -> None:
        self._module = importlib.import_module("ray._private.worker")
        self._before = getattr(self._module, _PRINT, None)
        if self._before is not None:
            setattr(self._module, _PRINT, _to_log)

    def over(self) -> None:
        if self._before is not None:
            setattr(self._module, _PRINT, self._before)


def _to_log(data: dict[str, Any], *_: object, **__: object) -> None:
    with contextlib.suppress(Exception):  # a thread of Ray's: nothing may end it
        _log.debug("Ray says: %s", data.get("lines"))


def acquire(address: str, memory: int, cores: int, *, explicit: bool) -> Connection:
    """Return the process's connection to ``address``, made if need be.

    A local cluster gets ``memory`` bytes and ``cores``. Unless the address is ``explicit``, a connection that
    somebody else made in this process serves as well.

    Raises :class:`CallerError` if the process is connected to another cluster, :class:`RetryableError` if
    there is no answer.
    """
    global _open  # noqa: PLW0603 - Ray has one connection a process
    with _lock:
        if _open is None:
            _open = Connection(address, memory, cores, explicit=explicit)
        elif _open.address != address:
            raise CallerError(
                f"this process is connected to {_open.address or 'a local cluster'}, "
                f"not to {address or 'one of its own'}",
                hint="Ray has one cluster a process: close the other prover first",
            )
        _open.users += 1
        return _open


def release(connection: Connection) -> None:
    """Give a connection back."""
    global _open  # noqa: PLW0603
    with _lock:
        connection.users -= 1
        if connection.users == 0:
            connection.close()
            _open = None


def _end_processes(folder: str) -> None:
    """End what a failed start left running: processes that name its folder, which nothing else does."""
    for process in psutil.process_iter(["cmdline"]):
        if any(folder in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
