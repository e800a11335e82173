"""Who on this machine proves now, and with how much memory: one folder that all processes share.

Each proof, waiting or running, is a file that its process keeps locked. The kernel drops the lock when the
process ends, however it ends: an entry that can be locked by another has no owner, and is removed. Whoever
waited longest is next, so that a large proof is not passed by small ones for ever.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fedproof.errors import TerminalError
from fedproof.provers.base import BeyondBudget

#: The folder; without it one of the user's in memory, gone when the machine is.
SETTING = "FEDPROOF_LEDGER"
_POLL_S = 0.05
_LOCK = ".lock"


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. ``running`` or waiting; one that is ``counted`` is a proof."""

    name: str
    size: int
    running: bool
    counted: bool


class Ledger:
    """Admits proofs while their needs fit ``budget`` bytes together and fewer than ``parallel`` run."""

    def __init__(self, budget: int, parallel: int, folder: Path | None = None) -> None:
        self.budget, self.parallel = budget, parallel
        self.folder = folder or default_folder()
        self._changed = threading.Condition()

    def reserve(self, size: int, *, urgent: bool = False) -> Reservation:
        """Wait for ``size`` bytes; give them back by closing what is returned, best in a ``with`` block.

        What is ``urgent`` counts its memory, and neither waits in line nor counts as a proof: small things.
        Raises :class:`BeyondBudget` for more than there is at all.
        """
        if size > self.budget:
            if not urgent:
                raise BeyondBudget(
                    f"the proof needs {gibibytes(size)}, all proofs may have {gibibytes(self.budget)}",
                    hint="give it more (FEDPROOF_MEMORY), or compile the circuit in segments",
                )
            size = self.budget
        started = time.monotonic()
        reservation = Reservation(self, size, counted=not urgent)
        try:
            with self._changed:
                while not self._admit(reservation):
                    self._changed.wait(_POLL_S)
        except BaseException:
            reservation.close()
            raise
        reservation.waited_s = time.monotonic() - started
        return reservation

    def entries(self) -> list[Entry]:
        """Everything that waits or runs now, oldest first."""
        with self._locked():
            return list(self._living())

    def _admit(self, own: Reservation) -> bool:
        with self._locked():
            own.open()
            if own.running:
                return True
            others = [e for e in self._living() if e.name != own.name]
            used = sum(e.size for e in others if e.running)
            proofs = sum(e.counted for e in others if e.running)
            first = not any(e.counted and not e.running and e.name < own.name for e in others)
            fits = used + own.size <= self.budget
            if fits and (not own.counted or (first and proofs < self.parallel)):
                own.write(running=True)
        return own.running

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as e:
            raise TerminalError(
                f"cannot keep the ledger of memory in {self.folder}: {e.strerror or e}",
                hint=f"set {SETTING} to a folder that can be written to",
            ) from e
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _living(self) -> Iterator[Entry]:
        for path in sorted(self.folder.glob("[0-9]*")):
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Locked: its owner lives.
                content = json.loads(os.read(descriptor, 4096))
                yield Entry(path.name, content["size"], content["running"], content["counted"])
            else:
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def left(self) -> None:
        """Wake the waiting threads of this process; others look every ``_POLL_S``."""
        with self._changed:
            self._changed.notify_all()


class Reservation:
    """Memory that is waited for or held; a context manager that gives it back."""

    def __init__(self, ledger: Ledger, size: int, *, counted: bool) -> None:
        self.ledger, self.size, self.counted, self.running = ledger, size, counted, False
        self.waited_s = 0.0
        # Of a clock that the whole machine shares: names sort by age.
        self.name = f"{time.monotonic_ns():020d}-{os.getpid()}-{threading.get_ident()}"
        self._descriptor: int | None = None

    def open(self) -> None:
        """Enter the ledger, once. The caller has locked it."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.write(running=False)

    def write(self, *, running: bool) -> None:
        """Say whether it waits or runs."""
        assert self._descriptor is not None
        content = {"size": self.size, "running": running, "counted": self.counted}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(content).encode(), 0)
        self.running = running

    def close(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None
            self.ledger.left()

    @property
    def _path(self) -> Path:
        return self.ledger.folder / self.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def default_folder() -> Path:
    """Return the folder that all of the user's provers on this machine share; it is there afterwards.

    Raises :class:`TerminalError` if it cannot be made, or is another user's.
    """
    chosen = os.environ.get(SETTING)
    folder = Path(chosen).resolve() if chosen else shared_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not chosen and folder.lstat().st_uid != os.getuid():
            raise TerminalError(f"{folder} is another user's", hint=f"set {SETTING} to a folder of your own")
    except OSError as e:
        raise TerminalError(
            f"cannot make {folder}: {e.strerror or e}", hint=f"set {SETTING} to a folder of your own"
        ) from e
    return folder


def shared_folder() -> Path:
    """Return the folder that is used where none is chosen. It need not be there."""
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"fedproof-{os.getuid()}"


def gibibytes(size: int) -> str:
    """Write an amount of memory for people."""
    return f"{size / 2**30:.2f} GiB"
