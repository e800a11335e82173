"""``fedproof circuits`` and ``srs`` on compiled circuits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cli_project import Command, write_project

pytestmark = pytest.mark.prove


def test_compiling_again_makes_nothing(compiled: Path, fedproof: Command) -> None:
    found = fedproof("circuits", "compile", "--all", "--json").json["circuits"]
    assert {c["name"]: c["compiled"] for c in found} == {"tiny": False, "tiny-average": False}
    listed = fedproof("circuits", "list", "--json").json["circuits"]
    assert [c["compiled"] for c in listed] == [True, True]


def test_a_circuit_is_shown(compiled: Path, fedproof: Command) -> None:
    shown = fedproof("circuits", "show", "tiny", "--json").json
    assert shown["compiled"] is True
    assert [s["name"] for s in shown["manifest"]["slots"]] == ["model", "batch", "step", "advice", "late"]
    assert shown["manifest"]["run_args"]["input_visibility"] == "polycommit"
    assert shown["manifest"]["key"] in fedproof("circuits", "show", "tiny").out


def test_a_circuit_that_is_not_compiled_is_shown(project: Path, fedproof: Command) -> None:
    shown = fedproof("circuits", "show", "tiny", "--json").json
    assert (shown["compiled"], shown["manifest"]) == (False, None)
    assert not (project / "build" / "store").exists(), "showing makes nothing"


def test_the_golden_table(compiled: Path, fedproof: Command) -> None:
    table = compiled / "circuits" / "costs.csv"
    fedproof("circuits", "costs", "--check").failed(2, "costs.csv")
    try:
        written = fedproof("circuits", "costs", "--json").json["circuits"]
        assert [row["name"] for row in written] == ["tiny", "tiny-average"]
        assert fedproof("circuits", "costs", "--check").code == 0
        table.write_text(table.read_text().replace("tiny,8,9,", "tiny,8,8,"))
        fedproof("circuits", "costs", "--check").failed(2, "tiny: logrows was 8, is 9")
    finally:
        table.unlink(missing_ok=True)


def test_circuits_rest_on_an_imported_srs(
    tmp_path: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ezkl

    monkeypatch.setenv("FEDPROOF_PROJECT", str(write_project(tmp_path / "project")))
    ceremony = tmp_path / "ceremony.srs"
    ezkl.gen_srs(str(ceremony), 9)
    digest = hashlib.sha256(ceremony.read_bytes()).hexdigest()
    imported = fedproof("srs", "import", ceremony, "--k", 9, "--sha256", digest, "--json")
    assert imported.code == 0, imported.err
    assert imported.json["development"] is False
    answer = fedproof("circuits", "compile", "tiny", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["circuits"][0]["development"] is False
