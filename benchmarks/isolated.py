"""Runs a stage in a worker process within limits of time and memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.options import Options

_POLL_S = 0.1


class StageFailed(Exception):
    """A stage gave no result; ``reason`` says why, in one line."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage, self.reason = stage, reason


def run_stage(stage: str, options: Options, **arguments: Any) -> dict[str, Any]:
    """Run one stage of :mod:`benchmarks.stage`; return its seconds by name and ``peak_bytes``.

    Raises :class:`StageFailed` when it fails, dies, or passes a limit.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        request, answer, log = (Path(scratch) / n for n in ("request.json", "answer.json", "log"))
        paths = {k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()}
        request.write_text(json.dumps({"stage": stage, **paths}))
        root = Path(__file__).resolve().parents[1]
        search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.stage", str(request), str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": search},
            )
            try:
                _watch(process, stage, options)
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        if not answer.is_file():
            raise StageFailed(stage, _cause(process.returncode, log))
        result: dict[str, Any] = json.loads(answer.read_text())
    if "failure" in result:
        raise StageFailed(stage, " ".join(result["failure"].split())[:300])
    return result


def _watch(process: subprocess.Popen[bytes], stage: str, options: Options) -> None:
    deadline = time.monotonic() + options.time_limit_s
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise StageFailed(stage, f"not done in {options.time_limit_s:.0f} s")
        try:
            held = watched.memory_info().rss
        except psutil.Error:
            held = 0
        if held > options.memory_limit:
            raise StageFailed(stage, f"needs more than {options.memory_limit / 2**30:.1f} GiB of memory")
        time.sleep(_POLL_S)


def _cause(code: int, log: Path) -> str:
    told = log.read_text(errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"{how}: {told[-1][:200]}" if told else how
