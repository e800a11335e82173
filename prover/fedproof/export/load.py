"""Loading what a declaration names from the user's own files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from fedproof.errors import CallerError


def load_attribute(reference: str, root: Path) -> Any:  # noqa: ANN401 - whatever the user's file defines
    """Return what ``FILE.py:NAME`` refers to, the file relative to ``root``."""
    file, _, attribute = reference.partition(":")
    path = (root / file).resolve()
    if not attribute or path.suffix != ".py":
        raise CallerError(f"{reference!r} is not of the form FILE.py:NAME")
    if not path.is_file():
        raise CallerError(f"{reference!r}: no file {file} in the project folder")
    # A private module name: the user's folder never shadows an installed package.
    name = f"fedproof_user_{path.stem}_{abs(hash(path)):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CallerError(f"{reference!r}: {file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        raise CallerError(f"{reference!r}: importing {file} failed: {type(e).__name__}: {e}") from e
    try:
        return getattr(module, attribute)
    except AttributeError as e:
        raise CallerError(f"{reference!r}: {file} defines no {attribute}") from e
