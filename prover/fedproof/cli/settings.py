"""Every setting of the environment in one table. A test compares it with what the code reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from fedproof.errors import FedproofError


class Privacy(Enum):
    """How much of a value may be shown."""

    OPEN = "open"
    URL = "url"
    SECRET = "secret"


@dataclass(frozen=True)
class Setting:
    """One environment variable. ``default`` gives the value without it, None for none."""

    variable: str
    help: str
    default: Callable[[], str | None] = lambda: None
    privacy: Privacy = Privacy.OPEN


@dataclass(frozen=True)
class Resolved:
    """The value of a setting now, fit to be shown, and where it came from."""

    setting: Setting
    value: str | None
    source: Literal["default", "environment"]


def _project() -> str | None:
    from fedproof.project import Project  # noqa: PLC0415

    try:
        return str(Project.find().root)
    except FedproofError:
        return None


def _build() -> str | None:
    root = _project()
    return str(Path(root) / "build") if root else None


def _jobs() -> str | None:
    build = os.environ.get("FEDPROOF_BUILD") or _build()
    return str(Path(build) / "jobs") if build else None


def _budget() -> str | None:
    from fedproof.provers.memory.budget import machine_budget  # noqa: PLC0415

    return f"{machine_budget() / 2**30:.1f}GiB"


def _ledger() -> str | None:
    from fedproof.provers.memory.ledger import shared_folder  # noqa: PLC0415

    return str(shared_folder())


def _cache() -> str | None:
    base = os.environ.get("XDG_CACHE_HOME")
    return str((Path(base) if base else Path.home() / ".cache") / "fedproof")


def _always(value: str) -> Callable[[], str | None]:
    return lambda: value


SETTINGS: tuple[Setting, ...] = (
    Setting("FEDPROOF_PROJECT", "folder with circuits/; else the nearest one upwards that has it", _project),
    Setting("FEDPROOF_BUILD", "folder of everything generated", _build),
    Setting("FEDPROOF_STORE", "where updates travel through: a folder, s3://, https://", privacy=Privacy.URL),
    Setting("FEDPROOF_JOBS", "folder of the queue of proofs", _jobs),
    Setting("FEDPROOF_PROVER", "who proves: cpu, gpu, ray or ray://HOST:PORT", _always("cpu")),
    Setting("FEDPROOF_MEMORY", "memory of all proofs on this machine together, as 8GiB", _budget),
    Setting("FEDPROOF_LEDGER", "folder in which processes that prove agree on memory", _ledger),
    Setting("FEDPROOF_GPU_PYTHON", "the Python of an environment with an ezkl build for GPUs"),
    Setting("FEDPROOF_RAY_CORES", "cores of a proof on a Ray cluster; by the circuit's rows unless given"),
    Setting("FEDPROOF_RAY_ATTEMPTS", "how often a lost proof is tried on a Ray cluster", _always("3")),
    Setting("FEDPROOF_RAY_BACKEND", "what the nodes of a Ray cluster prove with: cpu or gpu", _always("cpu")),
    Setting("FEDPROOF_CACHE", "folder of what a Ray node was sent", _cache),
    Setting("FEDPROOF_CACHE_GIB", "how much of it is kept, in GiB", _always("50")),
    Setting("FEDPROOF_CONTRACTS", "the checkout's verifier_contracts, when run from elsewhere"),
    Setting("FEDPROOF_DEVNET_L2_PORT", "port of the devnet's L2", _always("18545")),
    Setting("FEDPROOF_DEVNET_L1_PORT", "port of the devnet's L1", _always("18546")),
    Setting("FEDPROOF_L2_RPC", "RPC URL of the L2 of a public network", privacy=Privacy.URL),
    Setting("FEDPROOF_L1_RPC", "RPC URL of the L1 of a public network", privacy=Privacy.URL),
    Setting("FEDPROOF_L2_DVNS", "LayerZero verifiers (DVNs) trusted on the L2, comma-separated addresses"),
    Setting("FEDPROOF_L1_DVNS", "LayerZero verifiers (DVNs) trusted on the L1, comma-separated addresses"),
    Setting("FEDPROOF_KEYSTORE", "encrypted keystore that signs on a public network"),
    Setting("FEDPROOF_KEYSTORE_PASSWORD", "its password", privacy=Privacy.SECRET),
    Setting("FEDPROOF_PRIVATE_KEY", "in place of a keystore: the key itself, in hex", privacy=Privacy.SECRET),
    Setting("FEDPROOF_LOG", "form of the log lines on stderr: text or json", _always("text")),
    Setting("FEDPROOF_DEBUG", "anything: show the traceback of a bug"),
)


def resolve(environ: Mapping[str, str] = os.environ) -> list[Resolved]:
    """Every setting with its value and where that came from. Secrets and access tokens are left out."""
    found = []
    for setting in SETTINGS:
        given = environ.get(setting.variable)
        if given:
            found.append(Resolved(setting, _shown(given, setting.privacy), "environment"))
        else:
            found.append(Resolved(setting, setting.default(), "default"))
    return found


def _shown(value: str, privacy: Privacy) -> str:
    if privacy is Privacy.SECRET:
        return "(set, not shown)"
    if privacy is Privacy.URL:
        # Access tokens live in user, path and query.
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    return value
