"""The README: its Python runs as it stands, is short, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.prove
def test_the_example_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("FEDPROOF_PROJECT", raising=False)
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    trainer = names["trainer"]
    assert len(trainer.steps) == 1  # type: ignore[attr-defined]


@pytest.mark.reference
def test_the_example_is_under_ten_lines() -> None:
    (code,) = blocks("python")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) < 10
    assert max(map(len, lines)) <= 110


@pytest.mark.reference
@pytest.mark.parametrize("page", sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"]), ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"https?://", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.reference
def test_every_target_it_names_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+%?):", makefile, re.MULTILINE))
    for name in re.findall(r"`make ([a-zA-Z-]+)", TEXT):
        assert name.replace("NAME", "%") in targets, name


@pytest.mark.reference
def test_the_package_is_imported_in_no_time_and_offers_its_api() -> None:
    code = (
        "import sys, time\n"
        "started = time.process_time(); import fedproof; took = time.process_time() - started\n"
        "heavy = {'torch', 'ezkl', 'web3', 'onnx', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert took < 0.05, took\n"
        "assert set(fedproof.__all__) <= set(dir(fedproof))\n"
        "assert all(getattr(fedproof, name) is not None for name in fedproof.__all__)\n"
        "assert not hasattr(fedproof, 'nothing')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
