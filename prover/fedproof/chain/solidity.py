"""Compilation of our contracts and of generated verifiers with the pinned compiler, cached by content.

Settings come from ``foundry.toml``, so Python and forge compile alike. A cache entry is keyed by everything
that decides the output: sources, settings, the npm lock file and the compiler shim.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import solcx
from filelock import FileLock
from solcx.exceptions import SolcError

from fedproof.chain.artefacts import Artefact, hex_bytes
from fedproof.chain.places import build_root, contracts_root, node_modules
from fedproof.errors import CallerError, TerminalError
from fedproof.files import write_whole

_CACHE_FORMAT = 1


class Contracts(Mapping[str, Artefact]):
    """Compiled contracts by name. Looking up one that does not exist raises CallerError."""

    def __init__(self, artefacts: Mapping[str, Artefact]) -> None:
        self._artefacts = dict(artefacts)

    def __getitem__(self, name: str) -> Artefact:
        try:
            return self._artefacts[name]
        except KeyError:
            raise CallerError(f"no contract {name!r}", hint=f"known: {', '.join(sorted(self))}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._artefacts)

    def __len__(self) -> int:
        return len(self._artefacts)


def compile_project(root: Path | None = None, *, cache: Path | None = None) -> Contracts:
    """Every contract under ``src`` of the Foundry project at ``root``.

    Raises CallerError when the npm packages are missing, TerminalError with the compiler's words when one
    does not compile.
    """
    root = root or contracts_root()
    sources = {path.relative_to(root).as_posix(): path for path in sorted((root / "src").rglob("*.sol"))}
    if not sources:
        raise CallerError(f"no Solidity sources under {root / 'src'}")
    content = {name: path.read_text(encoding="utf-8") for name, path in sources.items()}
    return _compile(root, content, cache)


def compile_sources(
    sources: Mapping[str, str], root: Path | None = None, *, cache: Path | None = None
) -> Contracts:
    """Contracts of ``sources`` (text by file name), which may import ours by their path in the project."""
    return _compile(root or contracts_root(), dict(sources), cache)


def compile_verifier(source: Path | str, root: Path | None = None, *, cache: Path | None = None) -> Artefact:
    """The one contract of a generated verifier, given as a path or as text.

    Raises CallerError when the file is missing or holds no or several contracts, TerminalError when it does
    not compile.
    """
    if isinstance(source, Path):
        try:
            text = source.read_text(encoding="utf-8")
        except OSError as error:
            raise CallerError(f"cannot read verifier {source}: {error.strerror}") from error
    else:
        text = source
    found = compile_sources({"generated/Verifier.sol": text}, root, cache=cache)
    if len(found) != 1:
        raise CallerError(f"a generated verifier holds one contract, found {len(found)}: {', '.join(found)}")
    return next(iter(found.values()))


def _compile(root: Path, sources: dict[str, str], cache: Path | None) -> Contracts:
    node_modules(root)
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sorted(sources.items())},
        "settings": _settings(root),
    }
    store = cache or build_root() / "contracts" / "py"
    entry = store / f"{_key(root, request)}.json"
    store.mkdir(parents=True, exist_ok=True)
    # two processes that need the same contracts compile them once
    with FileLock(store / f"{entry.stem}.lock"):
        output = _cached(entry)
        if output is None:
            output = _own_contracts(_run_compiler(root, request), sources)
            body = json.dumps(output, sort_keys=True)
            write_whole(entry, json.dumps({"sha256": _digest(body), "body": body}))
    return Contracts({name: _artefact(name, item) for name, item in output.items()})


def _settings(root: Path) -> dict[str, Any]:
    try:
        profile = tomllib.loads((root / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
        settings: dict[str, Any] = {
            "evmVersion": profile["evm_version"],
            "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
            "viaIR": profile.get("via_ir", False),
            "remappings": profile["remappings"],
            "metadata": {
                "bytecodeHash": profile.get("bytecode_hash", "ipfs"),
                "appendCBOR": profile.get("cbor_metadata", True),
            },
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}},
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise CallerError(f"{root / 'foundry.toml'} does not state the compiler settings: {error}") from error
    return settings


def _key(root: Path, request: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    imported = sorted((root / "src").rglob("*.sol"))
    for part in (
        str(_CACHE_FORMAT),
        json.dumps(request, sort_keys=True),
        *(file.read_text(encoding="utf-8") for file in (root / "package-lock.json", root / "tools" / "solc")),
        *(f"{path.relative_to(root)}\0{path.read_text(encoding='utf-8')}" for path in imported),
    ):
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _cached(entry: Path) -> dict[str, Any] | None:
    try:
        stored = json.loads(entry.read_text(encoding="utf-8"))
        if _digest(stored["body"]) == stored["sha256"]:
            body: dict[str, Any] = json.loads(stored["body"])
            return body
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or corrupted: compiled again
    return None


def _run_compiler(root: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        output: dict[str, Any] = solcx.compile_standard(
            request, base_path=root, solc_binary=root / "tools" / "solc", allow_empty=False
        )
    except SolcError as error:
        told = error.message or error.stderr_data or "no message"
        raise TerminalError(f"the contracts do not compile:\n{told}") from error
    except OSError as error:
        raise CallerError(
            f"the compiler cannot be started: {error.strerror or error}",
            hint="Node.js 20 or newer must be on PATH",
        ) from error
    return output


def _own_contracts(output: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for file, contracts in output["contracts"].items():
        if file not in sources:
            continue
        for name, item in contracts.items():
            if name in own:
                raise TerminalError(f"two contracts are called {name}", hint="rename one of them")
            own[name] = item
    return own


def _artefact(name: str, item: Mapping[str, Any]) -> Artefact:
    return Artefact(
        name=name,
        abi=item["abi"],
        bytecode=hex_bytes(name, item["evm"]["bytecode"]["object"]),
        runtime=hex_bytes(name, item["evm"]["deployedBytecode"]["object"]),
    )
