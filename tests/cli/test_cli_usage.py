"""The command's own promises: help that teaches, JSON everywhere, documented exit codes and settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_project import SOURCES, TRAINING, Command, environment, finish, start

from fedproof import errors
from fedproof.cli import entry, run
from fedproof.cli.app import app
from fedproof.cli.settings import SETTINGS

pytestmark = pytest.mark.reference

OPERATING = SOURCES.parent / "docs" / "operating.md"


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_teaches_with_an_example(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert f"        fedproof {' '.join(path)}" in command.callback.__doc__, "no example in its help"
    assert all(getattr(p, "help", None) for p in command.params)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_speaks_json(path: tuple[str, ...]) -> None:
    assert any("--json" in p.opts for p in COMMANDS[path].params)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_documented(path: tuple[str, ...]) -> None:
    assert f"`fedproof {' '.join(path)}" in OPERATING.read_text(encoding="utf-8")


def test_every_example_parses() -> None:
    for path, command in COMMANDS.items():
        for line in re.findall(r"^        fedproof (.+)$", command.callback.__doc__, re.M):
            words = line.split("&&")[0].split()[len(path) :]
            if line.split()[: len(path)] == list(path):
                command.make_context(" ".join(path), words, resilient_parsing=False)


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "ezkl", "web3", "onnx", "onnxruntime", "numpy", "sklearn", "pydantic", "structlog")
    check = (
        "import sys; from fedproof.cli import run; code = run(['--help']); "
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "fedproof circuits compile" in done.stdout


def test_the_version(fedproof: Command) -> None:
    assert fedproof("--version").out.startswith("fedproof ")
    assert fedproof("version", "--json").json["ezkl"]


def test_settings_say_where_they_come_from(
    project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDPROOF_L1_RPC", "https://user:secret@rpc.example:8545/token?key=secret")
    monkeypatch.setenv("FEDPROOF_PRIVATE_KEY", "0x" + "5e" * 32)
    answer = fedproof("config", "--sources", "--json")
    found = {s["name"]: s for s in answer.json["settings"]}
    assert found["FEDPROOF_PROJECT"] | {"help": ""} == {
        "name": "FEDPROOF_PROJECT",
        "value": str(project),
        "source": "environment",
        "help": "",
    }
    assert found["FEDPROOF_BUILD"]["source"] == "default"
    assert found["FEDPROOF_BUILD"]["value"] == str(project / "build")
    assert found["FEDPROOF_L1_RPC"]["value"] == "https://rpc.example:8545"
    text = fedproof("config", "--sources").out
    for output in (text, answer.out):
        assert "secret" not in output
        assert "5e5e" not in output
        assert "token" not in output


def test_the_table_of_settings_is_complete() -> None:
    pattern = re.compile(r"\bFEDPROOF_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_{])")
    used = {n for p in SOURCES.rglob("*.py") for n in pattern.findall(p.read_text(encoding="utf-8"))}
    declared = {s.variable for s in SETTINGS}
    assert used == declared
    documented = OPERATING.read_text(encoding="utf-8")
    assert [v for v in sorted(declared) if f"`{v}`" not in documented] == []


def test_every_exit_code_is_documented() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", OPERATING.read_text(encoding="utf-8"), re.M))
    classes = [errors.CallerError, errors.InvalidProof, errors.TerminalError, errors.RetryableError]
    own = [0, entry.USAGE, entry.BUG, entry.INTERRUPTED, entry.TERMINATED]
    assert {int(code) for code in rows} == {*own, *(c.exit_code for c in classes)}
    for error in classes:
        assert f"`{error.__name__}`" in rows[str(error.exit_code)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], ["No such command 'bogus'"]),
        (["prove"], ["Missing argument 'NAME'", "fedproof prove --help"]),
        (["prove", "tiny"], ["--input"]),
        (["circuits", "compile", "--nope"], ["No such option: --nope"]),
        (["srs", "development", "many"], ["'K'", "integer"]),
        (["demo", "--trainers", "0"], ["'--trainers'", "1"]),
    ],
)
def test_wrong_usage(arguments: list[str], words: list[str], fedproof: Command) -> None:
    fedproof(*arguments).failed(2, *words)
    answer = fedproof(*arguments, "--json").failed(2, *words)
    assert answer.json == {
        "error": "UsageError",
        "message": answer.json["message"],
        "hint": answer.json["hint"],
        "exit_code": 2,
    }


def test_a_bug_is_called_one(project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("fedproof.circuits.spec.available", broken)
    fedproof("circuits", "list").failed(70, "this is a bug: ZeroDivisionError", "FEDPROOF_DEBUG=1")
    monkeypatch.setenv("FEDPROOF_DEBUG", "1")
    assert "Traceback" in fedproof("circuits", "list").err
    assert fedproof("circuits", "list", "--json").json["error"] == "Bug"


def test_an_interrupt(project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fedproof.circuits.spec.available", interrupted)
    answer = fedproof("circuits", "list", "--json").failed(130, "interrupted")
    assert answer.json["error"] == "Interrupted"


def test_logs_are_json_lines(project: Path) -> None:
    process = start(project, ["srs", "development", "6", "--json"], env={"FEDPROOF_LOG": "json"})
    answer = finish(process)
    assert answer.code == 0
    assert answer.json["k"] == 6
    lines = [line for line in answer.err.splitlines() if line.startswith("{")]
    assert {"event", "level", "timestamp"} <= json.loads(lines[0]).keys()


def test_a_log_form_that_is_none(project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDPROOF_LOG", "xml")
    fedproof("version").failed(2, "FEDPROOF_LOG", "'xml'", "text, json")


def test_no_project(tmp_path: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDPROOF_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    fedproof("circuits", "list").failed(2, "no project here", "FEDPROOF_PROJECT")
    monkeypatch.setenv("FEDPROOF_PROJECT", str(tmp_path / "nowhere"))
    fedproof("circuits", "list").failed(2, "nowhere")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch = 2", "batch = 2\nbatches = 3", ["tiny.toml: batches"]),
        ("columns = 2", "columns = 2\nrows = 3", ["tiny.toml: plonk.rows"]),
        ("logrows = 9", "logrows = 99", ["tiny.toml: plonk.logrows"]),
        ("batch = 2", "batch = 0", ["tiny.toml: batch"]),
        ('kind = "training"', 'kind = "prophecy"', ["tiny.toml: kind"]),
        ("[plonk]", "[plonk", ["tiny.toml is not valid TOML"]),
        ("models/tiny.py:Tiny", "models/none.py:Tiny", ["models/none.py"]),
        ("models/tiny.py:Tiny", "models/tiny.py:Huge", ["Huge"]),
    ],
)
def test_a_wrong_declaration(old: str, new: str, words: list[str], project: Path, fedproof: Command) -> None:
    text = TRAINING.format(model="Tiny")
    assert old in text
    (project / "circuits" / "tiny.toml").write_text(text.replace(old, new))
    fedproof("circuits", "compile", "tiny").failed(2, *words)


def test_a_wrong_declaration_does_not_hide_the_others(project: Path, fedproof: Command) -> None:
    (project / "circuits" / "broken.toml").write_text("kind = 'training'\n")
    found = {c["name"]: c for c in fedproof("circuits", "list", "--json").json["circuits"]}
    assert found["broken"]["kind"] is None
    assert "broken.toml" in found["broken"]["problem"]
    assert found["tiny"]["kind"] == "training"
    assert found["tiny"]["compiled"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["circuits", "compile", "nope"], ["no circuit 'nope'", "tiny"]),
        (["circuits", "compile", "../tiny"], ["is not a circuit name"]),
        (["circuits", "compile"], ["--all"]),
        (["circuits", "compile", "tiny", "--all"], ["--all"]),
        (["circuits", "show", "nope"], ["no circuit 'nope'"]),
        (["prove", "nope", "-i", "x", "-o", "y"], ["no input file x"]),
        (["verify", "tiny", "missing.json"], ["no proof file missing.json"]),
        (["verify-model", "missing.json", "--rpc", "http://x"], ["no model file missing.json"]),
        (["networks", "show", "nowhere"], ["unknown network 'nowhere'", "devnet, sepolia, mainnet"]),
        (["srs", "development", "0"], ["logrows is 0"]),
        (["srs", "development", "40"], ["logrows is 40"]),
        (["srs", "import", "missing", "--k", "9", "--sha256", "0" * 64], ["cannot read the SRS missing"]),
        (["srs", "import", "missing", "--k", "9", "--sha256", "zz"], ["'zz' is not a SHA-256"]),
        (["deploy", "--network", "nowhere"], ["unknown network 'nowhere'"]),
        (["deploy", "--name", "../x"], ["deployment name '../x'"]),
        (["deploy", "--average", "tiny"], ["--average tiny"]),
        (["deploy", "--network", "sepolia"], ["FEDPROOF_PRIVATE_KEY"]),
        (["round", "status"], ["none is registered"]),
        (["round", "run", "--model", "nope"], ["no model 'nope'"]),
        (["round", "register", "tiny", "--deployment", "gone"], ["no deployment 'gone'"]),
        (["round", "register", "tiny", "--model", "../x"], ["'../x'"]),
        (["relay", "1"], ["none is registered"]),
        (["demo"], ["no circuit 'digits-mlp'"]),
    ],
)
def test_what_is_not_there(
    arguments: list[str], words: list[str], project: Path, fedproof: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    answer = fedproof(*arguments).failed(2, *words)
    assert answer.out == ""
    assert fedproof(*arguments, "--json").json["exit_code"] == 2


def test_an_imported_srs_is_checked(project: Path, tmp_path: Path, fedproof: Command) -> None:
    made = fedproof("srs", "development", 6, "--json").json
    assert fedproof("srs", "show", "--json").json["srs"][0]["sha256"] == made["sha256"]
    copy = tmp_path / "k6.srs"
    copy.write_bytes(Path(made["path"]).read_bytes())
    fedproof("srs", "import", copy, "--k", 7, "--sha256", made["sha256"]).failed(2, "k=6")
    fedproof("srs", "import", copy, "--k", 6, "--sha256", made["sha256"]).failed(2, "development")


def test_run_returns_what_main_exits_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert environment(Path("x"))["FEDPROOF_PROJECT"] == "x"
