"""The machine and the versions of a run, without host names and paths."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

import fedproof
from fedproof.record.model import Host, Versions

_PACKAGES = ("ezkl", "torch", "onnx", "onnxruntime", "numpy", "web3")
_NPM_PACKAGES = {"solc": "solc", "anvil": "@foundry-rs/anvil"}


def collect_host() -> Host:
    """Describe this machine."""
    return Host(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        ram_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}".strip() or "unknown",
        machine=platform.machine() or "unknown",
    )


def collect_versions(project: Path | None = None) -> Versions:
    """Read the versions of everything that shapes a run.

    Args:
        project: root of the checkout, for the commit and for solc and anvil as npm installed them under
            ``verifier_contracts/node_modules``. Without it those three stay unknown.
    """
    found: dict[str, str | None] = {name: _package(name) for name in _PACKAGES}
    node = shutil.which("node")
    found["node"] = _semver(_run(node, "--version")) if node else None
    if project is not None:
        for name, package in _NPM_PACKAGES.items():
            found[name] = _npm_package(project / "verifier_contracts" / "node_modules" / package)
        found["commit"] = _commit(project)
    return Versions(fedproof=fedproof.__version__, python=platform.python_version(), **found)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())[:200]
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine() or "unknown"


def _package(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _npm_package(folder: Path) -> str | None:
    try:
        version = json.loads((folder / "package.json").read_text(encoding="utf-8")).get("version")
    except (OSError, ValueError, AttributeError):
        return None
    return version if isinstance(version, str) else None


def _commit(project: Path) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    commit = _run(git, "-C", str(project), "rev-parse", "HEAD")
    if commit is None or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return None
    changed = _run(git, "-C", str(project), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def _semver(text: str | None) -> str | None:
    match = re.search(r"\d+\.\d+\.\d+(?:[-+.\w]*)?", text or "")
    return match.group(0) if match else None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
