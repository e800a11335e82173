"""One process a task: what is done now and then, and needs much: compiling, counting, computing a witness."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fedproof.errors import TerminalError
from fedproof.provers.base import ProverKilled
from fedproof.provers.cpu.process import advice, cause, environment, last_line, raise_error

#: A task that takes longer is taken for a hang: ezkl 23.0.5 never returns from proving a witness of zeros.
TIMEOUT_S = 3600.0


def run_worker(
    task: str,
    *,
    timeout_s: float = TIMEOUT_S,
    **arguments: Any,  # noqa: ANN401 - JSON values
) -> dict[str, Any]:
    """Run one task of :mod:`fedproof.provers.cpu.tasks` in a process of its own; return its answer.

    Raises what the task raised, and :class:`ProverKilled` when the process died without an answer or
    took longer than ``timeout_s``.
    """
    with tempfile.TemporaryDirectory(prefix="fedproof-") as scratch:
        request, answer, log = (Path(scratch) / n for n in ("request.json", "answer.json", "log"))
        try:
            request.write_text(json.dumps({"task": task, "scratch": scratch, **arguments}))
        except OSError as e:
            raise TerminalError(f"cannot write to the temporary folder: {e.strerror or e}") from e
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "fedproof.provers.cpu.worker", str(request), str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired as e:
                process.kill()
                process.wait()
                raise ProverKilled(f"the worker for {task!r} gave no answer in {timeout_s:.0f} s") from e
            except BaseException:
                process.kill()
                process.wait()
                raise
        if not answer.is_file():
            message = f"the worker for {task!r} {cause(code)}{last_line(log.read_bytes())}"
            raise ProverKilled(message, hint=advice(code))
        result: dict[str, Any] = json.loads(answer.read_text())
    raise_error(result)
    return result
