"""Compiled contracts: ABI and bytecode, ours from the compiler and others' from npm packages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedproof.chain.places import node_modules
from fedproof.errors import CallerError, TerminalError

MAX_RUNTIME_BYTES = 24_576
"""Largest contract a chain accepts (EIP-170)."""


@dataclass(frozen=True)
class Artefact:
    """One deployable contract. ``bytecode`` is creation code; both codes are raw bytes."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes

    def require_deployable(self) -> None:
        """Raise TerminalError when the runtime code exceeds what chains accept (EIP-170) or there is none."""
        if not self.bytecode:
            raise TerminalError(f"{self.name} is abstract: it cannot be deployed")
        if len(self.runtime) > MAX_RUNTIME_BYTES:
            raise TerminalError(
                f"{self.name} has {len(self.runtime)} bytes of code; chains accept {MAX_RUNTIME_BYTES}",
                hint="a large circuit needs the reusable verifier",
            )


def hex_bytes(name: str, text: str) -> bytes:
    """Bytes of a bytecode field. Raises TerminalError when libraries are still unlinked."""
    digits = text.removeprefix("0x")
    if "__" in digits:
        raise TerminalError(f"contract {name} refers to a library that is not linked")
    return bytes.fromhex(digits)


def npm_artefact(package: str, contract: str, folder: str = "") -> Artefact:
    """Contract ``contract`` from ``folder`` of the artefacts that an npm package ships.

    Raises CallerError when the package or the artefact is missing.
    """
    path: Path = node_modules() / package / "artifacts" / "contracts" / folder / f"{contract}.sol"
    path = path / f"{contract}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CallerError(
            f"no compiled {contract} in npm package {package}", hint="run 'make setup'"
        ) from error
    except ValueError as error:
        raise TerminalError(f"{path} is not JSON", hint="run 'npm ci' in verifier_contracts") from error
    return Artefact(
        name=contract,
        abi=content["abi"],
        bytecode=hex_bytes(contract, content["bytecode"]),
        runtime=hex_bytes(contract, content["deployedBytecode"]),
    )
