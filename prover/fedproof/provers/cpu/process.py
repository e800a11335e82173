"""One persistent worker process, as its caller sees it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

from fedproof.errors import CallerError, TerminalError
from fedproof.provers.base import ProverKilled, WitnessRejected
from fedproof.provers.cpu.spawner import SPAWNER

Request = dict[str, Any]
_RAISED: dict[str, type[Exception]] = {
    "CallerError": CallerError,
    "WitnessRejected": WitnessRejected,
    "TerminalError": TerminalError,
}
_END_S = 2.0


def environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment of a worker; ``threads`` is what one proof may use, None for all cores."""
    # Keys are of our own store, which compares hashes: ezkl need not check that each element is one. The
    # files are the same, and a large key loads faster (docs/provers.md).
    chosen = {"EZKL_KEY_FORMAT": "raw-bytes-unchecked"} | os.environ | {"PYTHONUNBUFFERED": "1"}
    return chosen | ({"RAYON_NUM_THREADS": str(threads)} if threads else {})


class WorkerProcess:
    """A process that does one task after another. Not for several threads at once.

    ``command`` starts another worker than the package's, and is given the number of its pipe; ``settings``
    are put into its environment.
    """

    def __init__(
        self,
        threads: int | None = None,
        command: Sequence[str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        except OSError as e:
            raise TerminalError(f"cannot write to the temporary folder: {e.strerror or e}") from e
        fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)
        self._connection: Connection
        self._connection, theirs = Pipe()
        with theirs:
            words = command or (sys.executable, "-m", "fedproof.provers.cpu.worker", "--serve")
            self._process = SPAWNER.run(
                lambda: subprocess.Popen(
                    [*words, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    env=environment(threads) | dict(settings or {}),
                    pass_fds=(theirs.fileno(),),
                )
            )
        self.pid = self._process.pid
        self.idle_since = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def do(self, request: Request, timeout_s: float) -> dict[str, Any]:
        """Have it do a task; return its answer, raise what the task raised.

        Raises :class:`ProverKilled` where it died, or took longer than ``timeout_s``: then it is killed. It
        is ended as well where the caller is interrupted, and where ezkl panicked.
        """
        task = request["task"]
        try:
            self._connection.send_bytes(json.dumps(request).encode())
            in_time = self._connection.poll(timeout_s)
            answer: dict[str, Any] = json.loads(self._connection.recv_bytes()) if in_time else {}
        except (EOFError, OSError) as e:
            # Its pipe broke because it is dying: its exit code says of what.
            code = self._wait(_END_S)
            self.kill()
            code = self._process.returncode if code is None else code
            message = f"the worker for {task!r} {cause(code)}{self._last_words()}"
            raise ProverKilled(message, hint=advice(code)) from e
        except BaseException:
            self.kill()
            raise
        if not in_time:
            self.kill()
            raise ProverKilled(f"the worker for {task!r} gave no answer in {timeout_s:.0f} s")
        self._log.truncate(0)
        self.idle_since = time.monotonic()
        if answer.pop("last", False):
            self.kill()
        raise_error(answer)
        return answer

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def interrupt(self) -> None:
        """Kill it from another thread: whoever waits for its answer gets :class:`ProverKilled`."""
        self._process.kill()

    def end(self) -> None:
        """Let it end by itself, as an idle worker does when its pipe is closed."""
        self._connection.close()
        if self._wait(_END_S) is None:
            self.kill()
        self._log.close()

    def _wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _last_words(self) -> str:
        self._log.seek(0)
        return last_line(self._log.read())


def raise_error(answer: dict[str, Any]) -> None:
    """Raise the error that an answer is, if it is one."""
    if "error" in answer:
        raise _RAISED.get(answer["error"], TerminalError)(answer["message"])


def cause(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code} and no answer"


def advice(code: int) -> str:
    """Say what to do about it."""
    if code == -signal.SIGKILL:
        return "most likely out of memory: prove fewer at a time, or use a machine with more memory"
    return "run it again; if it repeats, the message above is the place to look"


def last_line(output: bytes) -> str:
    """Return the last thing it printed."""
    lines = output.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:300]}" if lines else ""
