"""Does every model of the zoo go through the hub? ``python -m benchmarks.zoo [CIRCUIT ...]``.

For each circuit ``fedproof demo`` plays one round of two trainers, one step each, on real data and real local
chains: proven, verified by the contracts, finalized, recorded on the L1. What it took goes to
build/bench/zoo.json with each circuit's run record under build/bench/zoo/. A circuit of the same key that was
played already is kept; ``--fresh`` plays it again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedproof.circuits import TrainingSpec, available, load_spec
from fedproof.circuits.store import CircuitStore
from fedproof.files import write_whole
from fedproof.project import Project
from fedproof.record import RunRecord

TRAINERS = 2
OPTIONS = ("--trainers", str(TRAINERS), "--rounds", "1", "--steps", "1", "--provers", "1")


def playable(project: Project, chosen: list[str]) -> list[str]:
    """Circuits of one step that have an average, the small ones first."""
    names = set(available(project.circuits))
    specs = {n: load_spec(n, project.circuits) for n in chosen or sorted(names)}
    steps = [n for n, s in specs.items() if isinstance(s, TrainingSpec) and f"{n}-average" in names]
    return sorted(steps, key=lambda n: (specs[n].plonk.logrows, n))


def play(name: str, folder: Path) -> RunRecord:
    """Play one round in a process of its own; return its record."""
    fedproof = Path(sys.executable).with_name("fedproof")
    command = [str(fedproof), "demo", "--circuit", name, *OPTIONS, "--output", str(folder)]
    subprocess.run(command, check=True)
    return RunRecord.read(folder / "run.json")


def facts(name: str, keys: list[str], record: RunRecord) -> dict[str, Any]:
    """What a reader asks of one round. Gas of a submit is that of one step, everything included."""
    played = record.rounds[0]
    check = record.final_check
    return {
        "circuit": name,
        "keys": keys,
        "parameters": record.parameters,
        "prove_s": [s.prove_s for t in played.trainers for s in t.steps],
        "average_prove_s": played.aggregate.prove_s,
        "submit_gas": [t.submit_gas for t in played.trainers],
        "finalize_gas": played.finalize_gas,
        "l1_gas": played.l1.gas,
        "verifier_bytes": {c.name: c.verifier_bytes for c in record.circuits},
        "accuracy": [record.accuracy_before, played.accuracy],
        "accuracy_float": [record.accuracy_float_before, played.accuracy_float],
        "hashes_equal": check is not None and check.model_hash == check.registry_hash == played.model_hash,
        "compile_s": {c.name: c.compile_s for c in record.circuits},
        "total_s": record.total_s,
        "versions": record.versions.model_dump(mode="json"),
        "host": record.host.model_dump(mode="json"),
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """For people."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in (
        "circuit",
        "parameters",
        "prove",
        "average",
        "submit gas",
        "finalize gas",
        "hashes",
        "round",
    ):
        shown.add_column(title, justify="left" if title in ("circuit", "hashes") else "right")
    for r in rows:
        shown.add_row(
            r["circuit"],
            f"{r['parameters']:,}",
            f"{min(r['prove_s']):.1f} s",
            f"{r['average_prove_s']:.1f} s",
            f"{max(r['submit_gas']):,}",
            f"{r['finalize_gas']:,}",
            "equal" if r["hashes_equal"] else "DIFFER",
            f"{r['total_s']:.0f} s",
        )
    return shown


def main() -> None:
    """Play what was asked for; exit code 1 if a round failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument(
        "circuits", nargs="*", help="names of training circuits (default: all with an average)"
    )
    parser.add_argument("--fresh", action="store_true", help="play again what was played")
    chosen = parser.parse_args()
    console, project = Console(), Project.find()
    store = CircuitStore(project)
    path = project.build / "bench" / "zoo.json"
    kept = {r["circuit"]: r for r in json.loads(path.read_text())} if path.is_file() else {}
    failed = []
    for name in playable(project, chosen.circuits):
        keys = [store.get(n).manifest.key for n in (name, f"{name}-average")]
        if not chosen.fresh and kept.get(name, {}).get("keys") == keys:
            continue
        console.rule(name, align="left")
        try:
            kept[name] = facts(name, keys, play(name, path.parent / "zoo" / name))
        except subprocess.CalledProcessError as e:
            failed.append(f"{name}: exit code {e.returncode}")
            continue
        if not kept[name]["hashes_equal"]:
            failed.append(f"{name}: the hashes differ")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps([kept[n] for n in sorted(kept)], indent=1) + "\n")
    console.print(table([kept[n] for n in sorted(kept)]))
    for line in failed:
        console.print(f"failed: {line}", style="bold")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
