"""Where the contracts and the generated files lie."""

from __future__ import annotations

import os
from pathlib import Path

from fedproof.errors import CallerError
from fedproof.project import Project

_CHECKOUT = Path(__file__).resolve().parents[3]


def contracts_root() -> Path:
    """Folder of the Foundry project: ``FEDPROOF_CONTRACTS``, else the checkout's ``verifier_contracts``.

    Raises CallerError when it is not there.
    """
    root = Path(os.environ.get("FEDPROOF_CONTRACTS") or _CHECKOUT / "verifier_contracts")
    if not (root / "package.json").is_file():
        raise CallerError(
            f"no contracts at {root}: package.json is missing",
            hint="run from a checkout of the repository or set FEDPROOF_CONTRACTS to its verifier_contracts",
        )
    return root.resolve()


def build_root() -> Path:
    """Folder of everything generated: ``FEDPROOF_BUILD``, else ``build`` of the project or checkout."""
    if chosen := os.environ.get("FEDPROOF_BUILD"):
        return Path(chosen).resolve()
    try:
        return Project.find().build
    except CallerError:
        return (_CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() else Path.cwd()) / "build"


def node_modules(root: Path | None = None) -> Path:
    """Installed npm packages of the contracts. Raises CallerError when ``npm ci`` has not been run."""
    modules = (root or contracts_root()) / "node_modules"
    if not modules.is_dir():
        raise CallerError(f"npm packages are not installed: {modules} is missing", hint="run 'make setup'")
    return modules
