"""Which provers there are, by name; what this machine offers of them, and why something is not offered."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Protocol

from fedproof.errors import CallerError
from fedproof.provers.base import Prover

#: Which prover is used where none is named.
SETTING = "FEDPROOF_PROVER"
DEFAULT = "cpu"
#: A backend is a module with ``offer() -> Offer`` and ``open_backend(where: str) -> Prover``, imported when
#: it is asked for; ``where`` is what stands behind ``NAME://``, or nothing.
BACKENDS = {
    "cpu": "fedproof.provers.cpu",
    "gpu": "fedproof.provers.gpu",
    "ray": "fedproof.provers.ray",
}
#: Backends that may be somewhere else.
_ADDRESSED = {"ray"}


@dataclass(frozen=True)
class Offer:
    """A backend, whether this machine offers it, and why (not)."""

    name: str
    available: bool
    reason: str
    toolchain: str = ""


class Backend(Protocol):
    """What a backend's module has."""

    def offer(self) -> Offer:
        """Look at the machine; quick, starts nothing."""

    def open_backend(self, where: str) -> Prover:
        """Open the prover; raises :class:`CallerError` with the reason where it is not offered."""


def open_prover(text: str | None = None, *, benchmark: bool = False) -> Prover:
    """Open the prover that ``text`` names: ``cpu``, ``gpu``, ``ray`` or ``ray://HOST:PORT``.

    Without a name it is ``FEDPROOF_PROVER``, or ``cpu``. Raises :class:`CallerError` for what does not exist,
    is not offered here, or makes proofs that no deployed verifier takes: these are for a ``benchmark``.
    """
    given = text or os.environ.get(SETTING) or DEFAULT
    name, separator, where = given.partition("://")
    if name not in BACKENDS:
        raise CallerError(f"there is no prover {given!r}", hint=f"one of {', '.join(BACKENDS)}")
    if separator and (name not in _ADDRESSED or not where):
        raise CallerError(f"{given!r} is no address of a prover", hint="ray://HOST:PORT")
    prover = _backend(name).open_backend(where)
    if not (benchmark or deployable(prover.toolchain)):
        prover.close()
        raise CallerError(
            f"the prover {given!r} proves with {prover.toolchain}: no deployed verifier takes its proofs",
            hint=f"for benchmarks only; a build of ezkl {version('ezkl')} with CUDA would do",
        )
    return prover


def deployable(toolchain: str) -> bool:
    """Whether its proofs verify with the keys and contracts that the package compiles: of the same ezkl."""
    return toolchain.split()[:2] == ["ezkl", version("ezkl")]


def offers() -> list[Offer]:
    """Every backend, in the order of preference; a backend whose library is missing says so."""
    found = []
    for name in BACKENDS:
        try:
            found.append(_backend(name).offer())
        except CallerError as e:
            found.append(Offer(name, available=False, reason=str(e)))
    return found


def _backend(name: str) -> Backend:
    try:
        module: Backend = import_module(BACKENDS[name])
    except ImportError as e:
        raise CallerError(f"the prover {name!r} cannot be imported: {e}") from e
    return module
