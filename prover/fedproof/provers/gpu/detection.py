"""Whether there is a GPU, and an ezkl build for it: looked for, never loaded into this process' ezkl."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fedproof.errors import CallerError

#: The Python of an environment of its own with ``ezkl-gpu``, or an ezkl built from its source with CUDA.
SETTING = "FEDPROOF_GPU_PYTHON"
_NVML = "libnvidia-ml.so.1"
_PROBE = """
import json
from importlib.metadata import PackageNotFoundError, version
import ezkl
for name in ("ezkl-gpu", "ezkl_gpu", "ezkl"):
    try:
        print(json.dumps([name.replace("_", "-"), version(name)]))
        break
    except PackageNotFoundError:
        pass
"""
_PROBE_S = 60.0


class BuildNotFoundError(CallerError):
    """There is no ezkl build for GPUs here; the message says why."""


@dataclass(frozen=True)
class Build:
    """An ezkl build in an interpreter: its distribution and version."""

    python: Path
    distribution: str
    version: str

    @property
    def toolchain(self) -> str:
        """What artefacts are kept under; no other build's, even of the same version."""
        suffix = "" if self.distribution == "ezkl-gpu" else " cuda"
        return f"{self.distribution} {self.version}{suffix}"


def build_of(python: str | None = None) -> Build:
    """Ask the interpreter, that of ``FEDPROOF_GPU_PYTHON`` unless given, what ezkl it has.

    Raises :class:`BuildNotFoundError`.
    """
    given = python or os.environ.get(SETTING)
    if not given:
        raise BuildNotFoundError(
            f"{SETTING} is not set", hint="python -m venv gpu && gpu/bin/pip install ezkl-gpu==16.1.0"
        )
    path = Path(given).absolute()  # not resolved: a venv's python is a link
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise BuildNotFoundError(f"{SETTING} is {given}, which is no program")
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise BuildNotFoundError(f"{given} cannot be asked for its ezkl: {e}") from e
    if done.returncode or not done.stdout.strip():
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise BuildNotFoundError(f"{given} has no ezkl: {said}")
    return Build(path, *json.loads(done.stdout.strip().splitlines()[-1]))


def no_gpu(library: str = _NVML) -> str:
    """Say why there is no NVIDIA GPU here; nothing where there is one."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return f"no NVIDIA driver ({library} is not here)"
    if (status := nvml.nvmlInit_v2()) != 0:
        return f"the NVIDIA driver does not start (nvmlInit: {status})"
    try:
        count = ctypes.c_uint(0)
        status = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        return "" if status == 0 and count.value else "the NVIDIA driver knows of no GPU"
    finally:
        nvml.nvmlShutdown()
