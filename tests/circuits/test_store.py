"""The store of compiled circuits: found again at once, noticed when damaged, never half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_project import MODEL, TRAINING

from fedproof.circuits import build as build_module
from fedproof.circuits import layout
from fedproof.circuits import store as store_module
from fedproof.circuits.spec import load_spec
from fedproof.circuits.store import CircuitStore
from fedproof.errors import CallerError, FedproofError, TerminalError
from fedproof.project import Project

pytestmark = pytest.mark.prove

GET = "import sys; from fedproof.circuits.store import CircuitStore; from fedproof.project import Project; "
GET += "from pathlib import Path; r = Path(sys.argv[1]); "
GET += "print(CircuitStore(Project(r, r / 'build')).get(sys.argv[2]).manifest.key)"


def in_process(project: Project, name: str = "tiny") -> subprocess.Popen:
    """Another process that gets a circuit and prints its key, in a group of its own."""
    command = [sys.executable, "-c", GET, str(project.root), name]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def complete(store: CircuitStore) -> bool:
    """Every folder in the store is a whole one, and nothing temporary lies about."""
    folders = [p for p in store.project.store.iterdir() if p.is_dir() and p.name != "recipes"]
    return all((p / store_module.MANIFEST).is_file() for p in folders) and not list(
        store.project.store.rglob("*.tmp")
    )


def test_what_was_compiled(compiled):
    circuit = compiled.get("tiny")
    manifest = circuit.manifest
    assert circuit.name == "tiny"
    assert [(s.name, s.salt) for s in manifest.slots] == [
        ("model", 19),
        ("batch", 1),
        ("step", 0),
        ("advice", 1),
        ("late", 0),
    ]
    assert manifest.slot("model").length == 3 + 19
    assert manifest.instances == (circuit.program.lookups,)
    assert manifest.development
    assert manifest.run_args["lookup_range"] == "(1, 128)"
    assert set(manifest.artefacts) >= {layout.PK, layout.VK, layout.SETTINGS, "float.onnx", "verifier.sol"}
    # An element of the remainder takes one, an element of an average of two steps takes two.
    assert compiled.get("tiny-average").program.lookups == 3 * 22
    assert circuit.committer.logrows == 9


def test_the_second_time_starts_no_worker(compiled, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(build_module, "run_worker", refuse)
    monkeypatch.setattr(store_module, "float_graph", refuse)
    started = time.perf_counter()
    compiled.get("tiny")
    assert CircuitStore(compiled.project).get("tiny-average").name == "tiny-average"
    assert time.perf_counter() - started < 1
    assert compiled.is_compiled("tiny")


def test_the_second_time_does_not_import_torch(compiled):
    code = GET + "; sys.exit('torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code, str(compiled.project.root), "tiny"], capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()[-500:]


def test_a_recipe_changes_with_all_that_goes_in(project):
    store = CircuitStore(project)
    srs = store.srs.ensure_development(9)

    def recipes():
        return [store.recipe(n, load_spec(n, project.circuits), srs) for n in ("tiny", "tiny-average")]

    seen = [recipes()]
    assert recipes() == seen[0]
    (project.root / "models" / "tiny.py").write_text(MODEL + "\n# another model\n")
    seen.append(recipes())
    (project.circuits / "tiny.toml").write_text(TRAINING.replace("batch = 2", "batch = 3"))
    seen.append(recipes())
    srs = store.srs.ensure_development(10)
    seen.append(recipes())
    for i in range(2):
        assert len({pair[i] for pair in seen}) == len(seen)


def test_a_recipe_changes_with_the_compiler(project, monkeypatch):
    store = CircuitStore(project)
    srs = store.srs.ensure_development(9)
    spec = load_spec("tiny", project.circuits)
    before = store.recipe("tiny", spec, srs)
    versions = store_module.versions() | {"ezkl": "0.0.0"}
    monkeypatch.setattr(store_module, "versions", lambda: versions)
    assert store.recipe("tiny", spec, srs) != before


def test_a_comment_in_the_model_costs_no_second_setup(compiled):
    """Another recipe, the same circuit: the key is found, and named by the new recipe too."""
    path = compiled.project.root / "models" / "tiny.py"
    before = compiled.get("tiny")
    changed = before.folder.stat().st_mtime_ns
    path.write_text(MODEL + "\n# a comment\n")
    try:
        assert not compiled.is_compiled("tiny")
        assert compiled.get("tiny").manifest.key == before.manifest.key
        assert compiled.is_compiled("tiny")
        assert before.folder.stat().st_mtime_ns == changed
    finally:
        path.write_text(MODEL)


@pytest.mark.parametrize("damage", ["flipped", "missing", "truncated", "manifest"])
def test_a_damaged_artefact_is_noticed_and_made_again(compiled, damage):
    circuit = compiled.get("tiny-average")
    path = circuit.folder / (store_module.MANIFEST if damage == "manifest" else layout.VK)
    good = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(good[:-1])
    else:
        path.write_bytes(good[:50] + bytes([good[50] ^ 1]) + good[51:])
        if damage == "manifest":
            path.write_text("{")
    assert not compiled.is_compiled("tiny-average")
    again = compiled.get("tiny-average")
    assert again.manifest.key == circuit.manifest.key
    assert compiled.is_compiled("tiny-average")
    assert complete(compiled)


def test_a_killed_compilation_leaves_nothing_that_counts_and_the_next_succeeds(project):
    store = CircuitStore(project)
    killed = in_process(project)
    draft = project.store / ".draft-tiny"
    deadline = time.monotonic() + 60
    while not draft.is_dir() and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert draft.is_dir()
    assert not store.is_compiled("tiny")
    assert [p.name for p in project.store.iterdir() if p.is_dir()] == [".draft-tiny"]
    store.get("tiny")
    assert store.is_compiled("tiny")
    assert complete(store)


def test_two_processes_compile_it_once(project):
    both = [in_process(project), in_process(project)]
    keys = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-800:]
        keys.append(out.split()[-1])
    assert keys[0] == keys[1]
    store = CircuitStore(project)
    assert store.is_compiled("tiny")
    assert len([p for p in project.store.iterdir() if p.is_dir() and p.name != "recipes"]) == 1
    assert complete(store)


def test_a_full_disk_is_said_and_leaves_nothing(project, monkeypatch):
    """The worker may write no file larger than 200 kB: the proving key does not fit."""
    limited = Path(project.root / "limited.py")
    limited.write_text(
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "sys.argv = sys.argv[sys.argv.index('fedproof.provers.cpu.worker'):]\n"
        "runpy.run_module('fedproof.provers.cpu.worker', run_name='__main__')\n"
    )
    wrapper = project.root / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {limited} "$@"\n')
    wrapper.chmod(0o755)
    store = CircuitStore(project)
    store.srs.ensure_development(9)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(wrapper))
        with pytest.raises(FedproofError, match=r"(?i)too large|space|write|serial") as failed:
            store.get("tiny")
    assert not isinstance(failed.value, CallerError)
    assert not store.is_compiled("tiny")
    assert [p.name for p in project.store.iterdir() if p.is_dir()] == []
    store.get("tiny")


def test_a_refused_write_of_the_store_itself_is_terminal(project, monkeypatch):
    def full(path, content):
        raise TerminalError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(build_module, "write_whole", full)
    store = CircuitStore(project)
    with pytest.raises(TerminalError, match="No space left"):
        store.get("tiny")
    assert [p.name for p in project.store.iterdir() if p.is_dir()] == []


def test_progress_names_the_stages(project):
    stages = []
    store = CircuitStore(project)
    store.get("tiny-average", progress=stages.append)
    assert stages == ["export", "lower", "keys", "self-test"]
    store.get("tiny-average", progress=stages.append)
    assert len(stages) == 4
