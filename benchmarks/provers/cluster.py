"""``python -m benchmarks.provers.cluster``: what Ray costs a proof, and what another worker brings.

A local cluster of as many cores as there are workers; results go to the part ``ray`` of provers.json.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from benchmarks.provers.measure import timed
from benchmarks.provers.results import FILE, Results
from benchmarks.provers.subject import Subject
from fedproof.project import Project
from fedproof.provers import CpuProver, Prover
from fedproof.provers.cpu.backend import cores
from fedproof.provers.ray import RayProver

PART = "ray"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provers.cluster")
    parser.add_argument("--circuit", default="digits-mlp")
    parser.add_argument("--samples", type=int, default=6, help="proofs by each prover, and by each worker")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured")
    given = parser.parse_args()
    project = Project.find()
    results = Results(project.build / "bench" / FILE, project.root)
    if given.fresh:
        results.forget([PART])
    subject = Subject.of(project, given.circuit)
    for name, measure in (("overhead", overhead), ("scaling", scaling), ("transfer", transfer)):
        full = f"{name}, {subject.name}"
        if not results.has(PART, full, subject.key):
            results.put(PART, full, subject.key, measure(subject, given.samples))
        print(
            full, {k: v for k, v in results.parts[PART][full].items() if not isinstance(v, list)}, flush=True
        )


def overhead(subject: Subject, samples: int) -> dict[str, Any]:
    """The same proof by turns without and with Ray: what a call takes beside ezkl's own ones."""
    beside: dict[str, list[float]] = {"cpu": [], "ray": []}
    proving: dict[str, list[float]] = {"cpu": [], "ray": []}
    with CpuProver(workers=1) as plain, RayProver(cores=cores()) as ray:
        provers: dict[str, Prover] = {"cpu": plain, "ray": ray}
        for prover in provers.values():
            subject.prove(prover)  # the first one starts the worker
        for _ in range(samples):
            for name, prover in provers.items():
                seconds, run = timed(subject, prover)
                beside[name].append(round(seconds - run.prove_s - run.witness_s, 4))
                proving[name].append(round(run.prove_s, 4))
    return {
        "beside_ezkl_s": beside,
        "prove_s": proving,
        "cpu_beside_s": median(beside["cpu"]),
        "ray_beside_s": median(beside["ray"]),
        "ray_adds_s": round(median(beside["ray"]) - median(beside["cpu"]), 4),
        "ray_adds_share": round((median(beside["ray"]) - median(beside["cpu"])) / median(proving["ray"]), 4),
    }


def scaling(subject: Subject, samples: int) -> dict[str, Any]:
    """Proofs an hour by workers of one core and one thread each: all that this machine has cores for."""
    before = os.environ.get("RAYON_NUM_THREADS")
    os.environ["RAYON_NUM_THREADS"] = "1"
    found: dict[str, Any] = {"workers": {}}
    try:
        for workers in [n for n in (1, 2, 4, 8, 16, 32) if n <= cores()]:
            with RayProver(cores=workers) as prover, ThreadPoolExecutor(workers) as callers:
                list(callers.map(lambda _, p=prover: subject.prove(p), range(workers)))
                started = time.perf_counter()
                runs = list(callers.map(lambda _, p=prover: timed(subject, p), range(workers * samples)))
                seconds = time.perf_counter() - started
            found["workers"][str(workers)] = {
                "calls_s": [round(s, 3) for s, _ in runs],
                "prove_s": [round(r.prove_s, 3) for _, r in runs],
                "seconds": round(seconds, 3),
                "proofs_an_hour": round(3600 * len(runs) / seconds, 1),
            }
    finally:
        os.environ.pop("RAYON_NUM_THREADS")
        if before is not None:
            os.environ["RAYON_NUM_THREADS"] = before
    rates = {n: w["proofs_an_hour"] for n, w in found["workers"].items()}
    return found | {"proofs_an_hour": rates, "speedup": round(max(rates.values()) / rates["1"], 3)}


def transfer(subject: Subject, samples: int) -> dict[str, Any]:
    """Seconds to send a circuit's files to a node through the object store, hashes checked."""
    del samples
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="fp-", dir="/tmp") as folder:
        before = os.environ.get("FEDPROOF_CACHE")
        os.environ["FEDPROOF_CACHE"] = folder
        try:
            with RayProver(cores=1, shared=False) as prover:
                _ = prover.parallel  # the node has answered, its store is there
                first, run = timed(subject, prover)
                second, again = timed(subject, prover)
        finally:
            os.environ.pop("FEDPROOF_CACHE")
            if before is not None:
                os.environ["FEDPROOF_CACHE"] = before
    size = (
        sum(p.stat().st_size for p in subject.circuit.folder.glob("*.key"))
        + subject.circuit.srs.path.stat().st_size
    )
    return {
        "bytes": size,
        "first_call_s": round(first, 3),
        "second_call_s": round(second, 3),
        "first_prove_s": round(run.prove_s, 3),
        "second_prove_s": round(again.prove_s, 3),
    }


if __name__ == "__main__":
    main()
