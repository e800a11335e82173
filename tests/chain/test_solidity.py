"""Compilation: the same as forge's, cached by content, clear when it fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fedproof.chain import solidity
from fedproof.chain.artefacts import MAX_RUNTIME_BYTES, Artefact
from fedproof.chain.deploy import compile_project
from fedproof.chain.places import contracts_root
from fedproof.chain.registry import READING_ABI
from fedproof.chain.solidity import compile_sources, compile_verifier
from fedproof.errors import CallerError, TerminalError

pytestmark = pytest.mark.evm

ONE = "pragma solidity ^0.8.26; contract One { uint256 public one = 1; }"


def test_the_project_compiles_and_fits():
    contracts = compile_project()
    for name in ("FedproofHub", "ModelRegistry", "LayerZeroSender", "LayerZeroReceiver"):
        contracts[name].require_deployable()
    with pytest.raises(CallerError, match="no contract 'Nothing'"):
        contracts["Nothing"]


def test_the_abi_for_reading_is_the_registrys():
    def shape(item: dict) -> tuple:
        def kind(part: dict) -> str:
            inner = ",".join(kind(child) for child in part.get("components", ()))
            return f"{part['type']}({inner})"

        return (item["name"], *(tuple(kind(part) for part in item[key]) for key in ("inputs", "outputs")))

    compiled = {shape(item) for item in compile_project()["ModelRegistry"].abi if item["type"] == "function"}
    assert {shape(item) for item in READING_ABI} <= {
        (name, inputs, tuple(kind.replace("enum", "uint8") for kind in outputs))
        for name, inputs, outputs in compiled
    }


def test_a_second_compilation_does_not_run_the_compiler(tmp_path, monkeypatch):
    first = compile_sources({"a/One.sol": ONE}, cache=tmp_path)
    monkeypatch.setattr(solidity, "_run_compiler", lambda *_: pytest.fail("compiled again"))
    again = compile_sources({"a/One.sol": ONE}, cache=tmp_path)
    assert again["One"] == first["One"]


def test_a_corrupted_cache_entry_is_noticed_and_replaced(tmp_path):
    first = compile_sources({"a/One.sol": ONE}, cache=tmp_path)
    (entry,) = tmp_path.glob("*.json")
    stored = json.loads(entry.read_text())
    stored["body"] = stored["body"].replace("60", "61", 1)
    for damage in (json.dumps(stored), "{", ""):
        entry.write_text(damage)
        assert compile_sources({"a/One.sol": ONE}, cache=tmp_path)["One"] == first["One"]
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix != ".lock"] == [".json"]


def test_another_source_has_another_key(tmp_path):
    compile_sources({"a/One.sol": ONE}, cache=tmp_path)
    compile_sources({"a/One.sol": ONE.replace("= 1", "= 2")}, cache=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_a_source_that_does_not_compile_says_why(tmp_path):
    with pytest.raises(TerminalError, match=r"(?s)do not compile.*Broken\.sol"):
        compile_sources({"a/Broken.sol": ONE.replace("uint256", "uint257")}, cache=tmp_path)
    assert not list(tmp_path.glob("*.json"))


def test_a_generated_verifier_is_one_contract(tmp_path):
    path = tmp_path / "verifier.sol"
    path.write_text(ONE)
    assert compile_verifier(path).name == "One"
    assert compile_verifier(ONE).bytecode == compile_verifier(path).bytecode
    with pytest.raises(CallerError, match="holds one contract, found 2"):
        compile_verifier(ONE + " contract Two {}")
    with pytest.raises(CallerError, match=r"cannot read verifier.*nowhere\.sol"):
        compile_verifier(Path("nowhere.sol"))


def test_missing_npm_packages_are_told(tmp_path):
    for name in ("foundry.toml", "package.json", "package-lock.json"):
        shutil.copy(contracts_root() / name, tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "One.sol").write_text(ONE)
    with pytest.raises(CallerError, match="npm packages are not installed"):
        compile_project(tmp_path, cache=tmp_path / "cache")


def test_a_contract_that_is_too_large_is_not_sent():
    large = Artefact("Huge", [], b"\0", bytes(MAX_RUNTIME_BYTES + 1))
    with pytest.raises(TerminalError, match=r"Huge has 24577 bytes.*24576.*reusable"):
        large.require_deployable()
    with pytest.raises(TerminalError, match="is abstract"):
        Artefact("Idea", [], b"", b"").require_deployable()
