"""The content-addressed store of compiled circuits, and the compiler that fills it.

A *recipe* is a hash of all that goes in: declaration, model code, this package's lowering, versions, SRS. It
is known without importing torch. A *key* is a hash of what ezkl is given: the circuit graph, its settings,
ezkl's version, the SRS. Two recipes can share a key. ``store/recipes/RECIPE`` names the key, ``store/KEY``
holds the artefacts with their manifest. A folder appears under its final name only when it is complete.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import filelock
from pydantic import ValidationError

from fedproof.circuits.build import CIRCUIT, Plan, Stage, build, save, versions
from fedproof.circuits.compiled import DECLARATIONS, FLOAT, MANIFEST, Circuit
from fedproof.circuits.manifest import FORMAT, Manifest
from fedproof.circuits.program import build_program, float_graph
from fedproof.circuits.shards import Shards
from fedproof.circuits.spec import AnySpec, AverageSpec, ForwardSpec, TrainingSpec, load_spec, training_of
from fedproof.commitments import Committer
from fedproof.errors import FedproofError, TerminalError
from fedproof.files import sha256_bytes, sha256_file, write_whole
from fedproof.lowering import circuit_graph, cut, partition, reference_graph
from fedproof.project import Project
from fedproof.srs import Srs, SrsNotFoundError, SrsStore

__all__ = ["CIRCUIT", "FLOAT", "MANIFEST", "Circuit", "CircuitStore", "compile_all", "versions"]

REFERENCE = "reference.onnx"
_PACKAGE = Path(__file__).resolve().parents[1]


def _quiet(_: str) -> None:
    pass


def _digest_of_sources(folder: Path, pattern: str = "**/*.py") -> str:
    files = sorted(p for p in folder.glob(pattern) if "__pycache__" not in p.parts)
    return sha256_bytes("\n".join(f"{p.relative_to(folder)} {sha256_file(p)}" for p in files).encode())


def _digest_of_graph(file: Path) -> str:
    # A missing file is told when the circuit is compiled.
    return sha256_file(file) if file.is_file() else ""


class CircuitStore:
    """Compiles the circuits of a project and keeps what it made."""

    def __init__(self, project: Project, srs: SrsStore | None = None) -> None:
        self.project = project
        self.srs = srs or SrsStore(project.srs)

    # -- what there is ------------------------------------------------------------------------------

    def recipe(self, name: str, spec: AnySpec, srs: Srs) -> str:
        """Hash of everything that goes into a circuit, computed without importing torch."""
        training = training_of(spec, self.project.circuits)
        code = {
            reference: self._digest_of_code(self.project.root / reference.partition(":")[0])
            for reference in (training.model, training.loss)
            if reference is not None
        }
        graphs = (training.graph, spec.graph if isinstance(spec, ForwardSpec) else None)
        code |= {g: _digest_of_graph(self.project.root / g) for g in graphs if g is not None}
        parts = {
            "format": FORMAT,
            "name": name,
            "spec": spec.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
            "code": code,
            "compiler": [_digest_of_sources(_PACKAGE / room) for room in ("lowering", "export", "circuits")],
            "versions": versions(),
            "srs": srs.digest,
        }
        return sha256_bytes(json.dumps(parts, sort_keys=True).encode())

    def _digest_of_code(self, file: Path) -> str:
        # What a model imports lies beside it or below. At the project root only what lies beside it counts,
        # for below the root are environments and build folders.
        at_root = file.parent.resolve() == self.project.root
        return _digest_of_sources(file.parent, "*.py" if at_root else "**/*.py")

    def get(self, name: str, *, progress: Stage = _quiet) -> Circuit:
        """Return the compiled circuit, compiling it first if need be.

        The SRS is the one in the project's store; where there is none, a development one is made and
        the manifest says so. A corrupted artefact is noticed, and rebuilt.
        """
        spec = load_spec(name, self.project.circuits)
        srs = self._srs(spec.plonk.logrows)
        recipe = self.recipe(name, spec, srs)
        pointer = self.project.store / "recipes" / recipe
        if pointer.is_file() and (circuit := self._load(pointer.read_text().strip(), srs)):
            return circuit
        self.project.store.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.project.store / f".{name}.lock"):
            if pointer.is_file() and (circuit := self._load(pointer.read_text().strip(), srs)):
                return circuit
            circuit = self._compile(name, spec, srs, progress)
            write_whole(pointer, circuit.manifest.key + "\n")
        return circuit

    def _srs(self, k: int) -> Srs:
        try:
            return self.srs.get(k)
        except SrsNotFoundError:
            # Refused beside imported ones: nobody mixes the two without noticing.
            return self.srs.ensure_development(k)

    def is_compiled(self, name: str) -> bool:
        """Whether a circuit's artefacts are there and up to date. Makes nothing."""
        spec = load_spec(name, self.project.circuits)
        try:
            srs = self.srs.get(spec.plonk.logrows)
        except FedproofError:
            return False
        pointer = self.project.store / "recipes" / self.recipe(name, spec, srs)
        return pointer.is_file() and self._load(pointer.read_text().strip(), srs) is not None

    def _load(self, key: str, srs: Srs) -> Circuit | None:
        """Return the stored circuit, or None where it is missing, of another format or damaged."""
        folder = self.project.store / key
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
            for file, digest in manifest.artefacts.items():
                if self._sha256(folder / file) != digest:
                    return None
        except (OSError, ValidationError):
            return None
        return Circuit(folder, manifest, srs) if manifest.format == FORMAT else None

    def _sha256(self, path: Path) -> str:
        # A key of many megabytes is hashed once a process, and again when the file changes.
        stat = path.stat()
        state = (stat.st_size, stat.st_mtime_ns)
        cached = _DIGESTS.get(path)
        if cached is None or cached[0] != state:
            _DIGESTS[path] = cached = (state, sha256_file(path))
        return cached[1]

    # -- making it ----------------------------------------------------------------------------------

    def _compile(self, name: str, spec: AnySpec, srs: Srs, progress: Stage) -> Circuit:
        progress("export")
        graph = float_graph(spec, self.project.root, self.project.circuits)
        progress("lower")
        program = build_program(spec, self.project.circuits, graph)
        parts = partition(program, spec.plonk.segments)
        committer, shards = Committer(srs.path, spec.plonk.logrows), None
        if isinstance(spec, AverageSpec) and spec.plonk.shards:
            shards = Shards.of(name, spec, program, committer)
        made = cut(program, parts, committer.usable_rows)
        graphs = tuple(circuit_graph(p) for p in ((shards.program,) if shards else made.segments))
        plan = Plan(name, "", spec, srs, parts, made, graphs, shards)
        inputs = {
            "format": FORMAT,
            "name": name,
            # What a declaration does not use leaves its key as it was.
            "spec": spec.model_dump(mode="json", exclude_none=True),
            "circuit": [sha256_bytes(g.SerializeToString(deterministic=True)) for g in graphs],
            "args": repr(sorted(plan.run_args.items())),
            "ezkl": version("ezkl"),
            "srs": srs.digest,
        }
        key = sha256_bytes(json.dumps(inputs, sort_keys=True).encode())[:40]
        stored = self._load(key, srs)
        if stored is not None:
            return stored
        # One draft a circuit, which its lock guards: what a killed compilation left is cleared by the next.
        draft = self.project.store / f".draft-{name}"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            save(draft / FLOAT, graph)
            if isinstance(spec, TrainingSpec | ForwardSpec):
                save(draft / REFERENCE, reference_graph(program))
            if not isinstance(spec, TrainingSpec):
                write_whole(
                    draft / DECLARATIONS / f"{spec.of}.toml",
                    (self.project.circuits / f"{spec.of}.toml").read_text(),
                )
            manifest = build(replace(plan, key=key), draft, progress)
            final = self.project.store / key
            shutil.rmtree(final, ignore_errors=True)
            draft.rename(final)
        except OSError as e:
            raise TerminalError(f"cannot write the artefacts of {name!r}: {e.strerror or e}") from e
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return Circuit(final, manifest, srs)


_DIGESTS: dict[Path, tuple[tuple[int, int], str]] = {}


def compile_all(store: CircuitStore, names: list[str], progress: Callable[[str, str], None]) -> list[Circuit]:
    """Compile several circuits, one heavy step at a time; ``progress(name, stage)`` is called as they go."""
    made = []
    for name in names:
        started = time.perf_counter()
        made.append(store.get(name, progress=lambda stage, name=name: progress(name, stage)))  # type: ignore[misc]
        progress(name, f"ready in {time.perf_counter() - started:.1f} s")
    return made
