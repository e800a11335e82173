"""``fedproof version``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import typer

from fedproof.cli.options import Json
from fedproof.cli.output import Output

_SHOWN = ("fedproof", "ezkl", "torch", "onnx", "onnxruntime", "numpy", "web3", "py-solc-x")


def version(json: Json = False) -> None:
    """Print the versions of everything that shapes a proof.

    Example:

        fedproof version --json
    """
    found = {name: _version(name) for name in _SHOWN} | {"python": platform.python_version()}
    Output(json=json).table(found, ("package", "version"), list(found.items()))


def print_and_exit(wanted: bool) -> None:
    """Answer ``--version`` if it is given."""
    if wanted:
        typer.echo(f"fedproof {_version('fedproof')}")
        raise typer.Exit


def _version(name: str) -> str:
    try:
        return installed(name)
    except PackageNotFoundError:
        return "not installed"
